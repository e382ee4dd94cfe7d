"""How different other pictures look to a frozen backbone, before anything is trained: can a plain classifier tell them apart?"""

from __future__ import annotations

from typing import Any

import numpy as np

from tlapp.engine.advice.advise import judged

PLUGIN = {"plugin": "self-training", "last": 0, "style": "none"}
"""Settings of a run, which is not carried out, whose first phase takes frozen features of both domains."""
LIMIT = 1000
"""Examples of each domain that are looked at."""
DIFFERENT = 0.6
"""Accuracy of telling domains apart from which they look different; 0.5 is chance."""


def domains(run: Any) -> dict[str, Any]:
    """How well logistic regression tells the source from the target by frozen features, cross-validated.

    A proxy of the distance between domains (Ben-David et al. 2010, https://doi.org/10.1007/s10994-009-5152-4).

    Returns:
        told_apart and interval: the accuracy, on as many examples of each; different: whether that is more than chance by much;
        images: how many there are of the target; noun: what they are called.
    """
    work, dataset = run.work, run.dataset
    size = min(LIMIT, *(len(dataset.streams[name]) for name in ("train", "target")))
    features = []
    for name in ("train", "target"):
        rows = np.sort(np.random.default_rng(0).permutation(len(dataset.streams[name]))[:size])
        (taken,) = work.streams.source(work.slots[0].phase, work.slots[0].cut, name).take(rows, 0)
        features.append(taken.reshape(size, -1).astype(np.float32))
    told = judged(np.concatenate(features), np.repeat([0, 1], size), 2, ())
    return {
        "told_apart": told.accuracy, "interval": told.interval, "different": told.accuracy > DIFFERENT and told.interval[0] > 0.5,
        "images": len(dataset.streams["target"]), "noun": dataset.input.noun,
    }  # fmt: skip


def sentence(found: dict[str, Any]) -> str:
    """What was found, for people."""
    (low, high), noun = found["interval"], found["noun"]
    told = (
        f"{found['told_apart']:.3f} ({low:.3f} to {high:.3f}) of the {noun}s are told to be of data or of target, 0.5 by chance"
    )
    if found["different"]:
        return f"the target looks different: {told}; adapt to it, and compare with {noun}s whose labels you know"
    return f"the target looks like the data: {told}; nothing needs to adapt"
