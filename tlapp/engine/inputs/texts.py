"""A text, in a cell or a file, to a row of token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import BadExample, Input, Tensor, TextInput
from tlapp.engine.cache import store
from tlapp.engine.inputs import pairs as of_pairs
from tlapp.engine.inputs import signs
from tlapp.engine.inputs.encodings import NotUtf8, decoded, is_file
from tlapp.engine.inputs.plain_texts import tfidf
from tlapp.engine.inputs.text_export import TextExport, stated_by
from tlapp.engine.inputs.wordpiece import tokenizer
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow

VERSION = 1
"""Raise it whenever `read` gives other ids than before: it is part of the cache's keys."""
MULTIPLE = 16
"""Lengths are rounded up to a multiple of it."""
SHARE = 0.95
"""Of the training texts that the automatic length holds whole."""
MOST_SAMPLED = 20_000
"""Training texts that are counted to find the length."""
UNKNOWN, PIECES = 0.05, 2.0
"""Share of unknown tokens, and pieces a word, from which the vocabulary does not cover the language. In English it is 0.001 and
1.2 at most."""
_MOST_CHARACTERS = 1 << 20
_TITLE = 60


@dataclass(frozen=True)
class Texts(Input):
    """Texts as ids of WordPiece tokens: [CLS], the text's, [SEP], then 0 up to `max_length`; None: not fitted to texts yet.

    A source is the text itself, or the path of a file that ends in .txt. Of `pairs` it is two texts with a tab between them.
    """

    vocabulary: tuple[str, ...]
    lowercase: bool = True
    strip_accents: bool = True
    longest: int = 512
    max_length: int | None = None
    pairs: bool = False

    kind = "text"
    noun = "text"
    column = "text"
    suffixes = frozenset({".txt"})
    block = 256
    plain = "TF-IDF with logistic regression"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))  # JSON makes a list of it
        if self.pairs:
            object.__setattr__(self, "column", of_pairs.COLUMN)

    @classmethod
    def of(cls, facts: TextInput, options: RunOptions) -> Texts:
        """The reader for a backbone with these facts.

        Raises:
            UserError: option max_length is more than the backbone takes, or it takes no pairs, and the data are.
        """
        pairs = of_pairs.in_table(options.data, facts.pairs)
        if options.max_length and options.max_length > facts.longest:
            raise UserError(f"the backbone takes at most {facts.longest} tokens", options.max_length, option="max_length")
        return cls(facts.vocabulary, facts.lowercase, facts.strip_accents, facts.longest, options.max_length, pairs)

    @classmethod
    def of_export(cls, facts: Mapping[str, Any], files: Callable[[str], bytes]) -> Texts:
        """The reader for an exported model, by the facts of its export and the files beside it."""
        stated = stated_by(facts, files)
        own = stated.vocabulary, stated.lowercase, stated.strip_accents, stated.longest, stated.max_length, stated.pairs
        return cls(*own)

    @property
    def export(self) -> TextExport:
        return TextExport(
            vocabulary=self.vocabulary, lowercase=self.lowercase, strip_accents=self.strip_accents, longest=self.longest,
            max_length=self.length, pairs=self.pairs,
        )  # fmt: skip

    @property
    def length(self) -> int:
        """Ids of a text."""
        return self.max_length or self.longest

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("ids", (self.length,), "int32"),)

    @property
    def words(self) -> str:
        return f"{self.length} tokens"

    def key(self) -> Mapping[str, Any]:
        return {"version": VERSION, "tokenizer": self.tokenizer_digest, "max_length": self.length}

    @property
    def tokenizer_digest(self) -> str:
        """A digest of all that the ids depend on besides the text and the length."""
        return tokenizer(self.vocabulary, self.lowercase, self.strip_accents).key + " pairs" * self.pairs

    def read(self, source: str) -> tuple[np.ndarray, ...]:
        (arrays,) = self.read_all([source])
        if isinstance(arrays, BadExample):
            raise arrays
        return arrays

    def read_all(self, sources: Sequence[str]) -> list[tuple[np.ndarray, ...] | BadExample]:
        texts = [self._text(source) for source in sources]
        good = [text for text in texts if isinstance(text, str)]
        rows = iter(self._ids(good, self.length)) if good else iter(())
        return [self._row(source, text, rows) for source, text in zip(sources, texts, strict=True)]

    def _row(self, source: str, text: str | BadExample, rows: Any) -> tuple[np.ndarray, ...] | BadExample:
        if isinstance(text, BadExample):
            return text
        row = next(rows)
        if np.count_nonzero(row) > 2 + self.pairs:
            return (row,)
        return BadExample(source, "no token in it: only blanks or control characters")

    def _ids(self, texts: Sequence[str], length: int | None = None) -> np.ndarray:
        """Texts cut and padded to a length; None: whole, padded to the longest of them."""
        quiet_tensorflow()
        return np.asarray(tokenizer(self.vocabulary, self.lowercase, self.strip_accents).ids(texts, length, self.pairs))

    def _text(self, source: str) -> str | BadExample:
        """The text of a source, or what is wrong with it."""
        try:
            text = self.text(source)
        except OSError as error:
            return BadExample(source, f"cannot be opened: {error.strerror}", passing=True)
        except NotUtf8 as error:
            return BadExample(source, str(error))
        fault = of_pairs.fault(text) if self.pairs else "" if text.strip() else "empty text"
        return BadExample(source, fault) if fault else text

    def text(self, source: str) -> str:
        """The text of a source.

        Raises:
            OSError: its file cannot be opened. NotUtf8: it is of another encoding.
        """
        if is_file(source):
            with open(source, "rb") as file:
                text = decoded(file.read(4 * _MOST_CHARACTERS), cut=True)
        else:
            text = decoded(source[:_MOST_CHARACTERS].encode("utf-8", "surrogateescape"))
        return of_pairs.parsed(text) if self.pairs else text

    def content(self, source: str) -> bytes | None:
        return None if is_file(source) else source.encode("utf-8", "surrogateescape")

    def show(self, row: Sequence[Any]) -> str:
        words = [self.vocabulary[int(number)] for number in row[0] if int(number)]
        return " ".join(words[1 : -1 if words[-1:] == ["[SEP]"] else None]).replace(" ##", "")

    def title(self, source: str) -> str:
        if is_file(source):
            return source
        line = " ".join((source.replace("\t", " | ") if self.pairs else source).split())
        return f'"{line}"' if len(line) <= _TITLE else f'"{line[:_TITLE]} ..."'

    def builtin(self, name: str) -> Sequence[tuple[str, str, str]] | None:
        return signs.listed() if name == signs.BUILTIN else None

    def columns(self, header: Collection[str]) -> tuple[str, ...]:
        if self.pairs:
            return of_pairs.columns_of(header)
        of_pairs.check_column(header)
        return super().columns(header)

    def plain_classifier(self) -> Any:
        return tfidf(self.text)

    def fitted(self, sources: Sequence[str]) -> tuple[Texts, list[str]]:
        """With the length that holds 95 % of the texts whole, unless one was set; and what is cut off, or not understood."""
        counts = self.counts(sources)
        if not len(counts.tokens):  # told when they are read
            return self, []
        usual = int(np.quantile(counts.tokens, SHARE, method="inverted_cdf"))
        length = self.max_length or min(self.longest, -(-usual // MULTIPLE) * MULTIPLE)
        return replace(self, max_length=length), [*self._cut(counts, length), *self._strange(counts)]

    def _cut(self, counts: Counts, length: int) -> list[str]:
        over = float((counts.tokens > length).mean())
        if not over:
            return []
        limit = ", the most that the backbone takes" if length == self.longest else ""
        chosen = f"option max_length={length}" if self.max_length else f"texts are cut at {length} tokens (option max_length)"
        return [f"{chosen}{limit}: {over:.1%} of the training texts are longer and lose their end"]

    def _strange(self, counts: Counts) -> list[str]:
        words = {
            f"{counts.unknown:.1%} of the training texts' tokens are unknown": counts.unknown > UNKNOWN,
            f"the tokenizer cuts words into {counts.pieces:.1f} pieces in the mean": counts.pieces > PIECES,
        }
        why = "the backbone's vocabulary does not cover their language or script, so that it understands little of them"
        return [f"{what}: {why}" for what, holds in words.items() if holds][:1]

    def counts(self, sources: Sequence[str]) -> Counts:
        """Count the tokens of sources, once; of very many sources, of some."""
        sources = sources[:: -(-len(sources) // MOST_SAMPLED) or 1]
        texts = [text for text in map(self._text, sources) if isinstance(text, str)]
        if not texts:
            return Counts(np.zeros(0, int), 0.0, 1.0)
        tokens, unknown, pieces = self._counted(texts).T
        own = max(int(tokens.sum()) - (2 + self.pairs) * len(tokens), 1)
        return Counts(tokens, int(unknown.sum()) / own, own / max(own - int(pieces.sum()), 1))

    def _counted(self, texts: Sequence[str]) -> np.ndarray:
        """Of each text its tokens, those that are unknown, and those that go on with a word: (n, 3), from the store."""
        key = store.key_of("token counts", VERSION, self.tokenizer_digest, _digest(texts))
        if (table := store.find(key)) is not None:
            return table.slice(0, len(table))
        unknown, goes_on = self.vocabulary.index("[UNK]"), np.array([word.startswith("##") for word in self.vocabulary])
        parts = []
        for start in range(0, len(texts), self.block):
            ids = self._ids(texts[start : start + self.block])
            parts.append(np.stack([ids != 0, ids == unknown, goes_on[ids]]).sum(2).T)
        with store.write(key, len(texts), (3,), "int32") as writer:
            writer.put(0, np.concatenate(parts))
            table = writer.commit({"what": "token counts"})
        return table.slice(0, len(table))


class Counts(NamedTuple):
    """Of each text its tokens, [CLS] and [SEP] included; of all of them the share of unknown ones, and the pieces a word."""

    tokens: np.ndarray
    unknown: float
    pieces: float


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()
