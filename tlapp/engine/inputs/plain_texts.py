"""A classifier of texts that needs no network, for a run to be held against."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

_WORD = re.compile(r"\b\w\w+\b")
"""What scikit-learn takes for a word."""


def tfidf(text_of: Callable[[str], str]) -> Any:
    """Logistic regression on TF-IDF of words and pairs of words, not fitted; `text_of` gives the text of a source."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(
        preprocessor=lambda source: text_of(source).lower(), ngram_range=(1, 2), dtype=np.float32, token_pattern=None,
        tokenizer=lambda text: _WORD.findall(text) or text.split(),  # a text may be nothing but single letters, or signs
    )  # fmt: skip
    return make_pipeline(vectors, LogisticRegression(C=10, tol=1e-3, max_iter=500))
