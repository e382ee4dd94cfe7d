"""How an exported model takes texts: strings with the tokenizer inside, ids, text files as vectors, and programs for texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Attachment, Endpoint, Feature, InputExport, ProcessUnit, Snippet
from tlapp.engine.inputs.text_programs import PREPARE, program
from tlapp.engine.inputs.wordpiece import FIRST, LAST, tokenizer
from tlapp.errors import UserError

VOCABULARY = "vocab.txt"
"""The file beside an artifact, and inside a TFLite file, that holds the tokens in the order of their ids."""
BERT_OPTIONS, VOCABULARY_FILE = 4, 5
"""BertTokenizerOptions and VOCABULARY, by their numbers in the metadata schema."""


@dataclass(frozen=True)
class TextExport(InputExport):
    """How an exported model takes texts of at most `max_length` tokens; see `tlapp.contracts.TextInput`."""

    names: tuple[str, ...] = ("ids",)
    noun: str = "text"
    vocabulary: tuple[str, ...] = ()
    lowercase: bool = True
    strip_accents: bool = True
    longest: int = 512
    max_length: int = 512

    task = "text-classification"
    dataset = "csv"
    file_suffixes = (".txt",)
    contents = True
    files_agree = 1.0
    ignored = ("segment_ids", "mask")

    def facts(self) -> dict[str, Any]:
        return {
            **super().facts(), "kind": "text", "lowercase": self.lowercase, "strip_accents": self.strip_accents,
            "longest": self.longest, "max_length": self.max_length, "vocabulary": _digest(self.vocabulary),
        }  # fmt: skip

    def report(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def report_on(self, contents: Sequence[bytes]) -> dict[str, Any]:
        """How many texts MediaPipe cuts into other tokens than the model was trained on: its answers to these may differ."""
        own, phone = (
            np.asarray(tokenizer(self.vocabulary, self.lowercase, self.strip_accents, phone).ids(contents, self.max_length))
            for phone in (False, True)
        )
        differ = int((own != phone).any(axis=1).sum())
        return {"mediapipe": {"n": len(contents), "other_tokens": differ, "share": differ / max(len(contents), 1)}}

    def unfit(self, quantize: str) -> str:
        if quantize != "int8":
            return ""
        return (
            "int8 rounds what attention masks and normalises so roughly that the features of a text are lost; "
            "option quantize=dynamic gives a file as small, which keeps them"
        )

    def files(self) -> Mapping[str, bytes]:
        return {VOCABULARY: "".join(f"{token}\n" for token in self.vocabulary).encode()}

    def process_units(self) -> Sequence[ProcessUnit]:
        words = "Tokens in the order of their ids."
        return [ProcessUnit(BERT_OPTIONS, (Attachment(VOCABULARY, words, VOCABULARY_FILE, self.files()[VOCABULARY]),))]

    def endpoints(self) -> Mapping[str, Endpoint]:
        return {"serve_text": Endpoint({"texts": ((None,), "string")}, self._ids)}

    def received(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """Ids cut to the model's length, as in training: MediaPipe gives those of the whole text."""
        import tensorflow as tf

        ids = arrays[0][:, : self.max_length]
        is_last = tf.cumsum(tf.ones_like(ids), axis=1) == self.max_length
        return [tf.where(is_last & (ids != 0), self.vocabulary.index(LAST), ids)]

    def features(self) -> Sequence[Feature]:
        about = (
            f"Ids of WordPiece tokens, {FIRST} first, {LAST} last, of any length; what is over {self.max_length} is left out.",
            "Not read: the model finds segments by itself.",
            "Not read: the model attends to all ids but 0.",
        )
        return [Feature(name, words) for name, words in zip((*self.names, *self.ignored), about, strict=True)]

    def snippet(self) -> Snippet:
        program = PREPARE
        for name, value in (
            ("lowercase", self.lowercase), ("strip_accents", self.strip_accents), ("inside", self.max_length - 2),
        ):  # fmt: skip
            program = program.replace(f"{{{name}}}", str(value))
        return Snippet("TEXT.txt", "from tokenizers import Tokenizer, models, normalizers, pre_tokenizers\n", program)

    def phone_program(self, language: str, labelling: str) -> str | None:
        return None if labelling == "number" else program(language, labelling)

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        inside = self.max_length - 2
        return (
            "The endpoint serve_text of a SavedModel takes strings: the tokenizer is inside. Elsewhere give ids of the tokens in "
            f"{VOCABULARY}: {FIRST}, at most {inside} of the text, {LAST}. The program below makes them as training did. A "
            "TFLite file also opens as MediaPipe's TextClassifier, whose tokenizer keeps accents and lower-cases only ASCII: "
            "export.json says of how many test texts its tokens are others (mediapipe)."
        )

    def _ids(self, texts: Any) -> Sequence[Any]:
        """Ids of strings, as long as the longest of them."""
        import tensorflow as tf

        ids = tokenizer(self.vocabulary, self.lowercase, self.strip_accents).ids(texts, self.max_length)
        used = tf.reduce_max(tf.math.count_nonzero(ids, axis=1, dtype=tf.int32))
        return [ids[:, : tf.maximum(used, 2)]]


def stated_by(facts: Mapping[str, Any], files: Callable[[str], bytes]) -> TextExport:
    """How texts are taken by an exported model, by the facts of its export and the files beside it.

    Raises:
        UserError: they were altered, so that they no longer say what is needed.
    """
    try:
        vocabulary = tuple(files(VOCABULARY).decode().removesuffix("\n").split("\n"))
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise UserError(f"its {VOCABULARY} cannot be read; keep the file in the folder of its export") from error
    known = {name: facts.get(name) for name in ("lowercase", "strip_accents", "longest", "max_length")}
    right = all(type(known[name]) is kind for name, kind in zip(known, (bool, bool, int, int), strict=True))
    if not right or not 2 < known["max_length"] <= known["longest"] or _digest(vocabulary) != facts.get("vocabulary"):  # type: ignore[operator]
        raise UserError(f"what its export says of its texts does not fit its {VOCABULARY}; export the run again")
    return TextExport(vocabulary=vocabulary, **known)  # type: ignore[arg-type]


def _digest(vocabulary: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(vocabulary).encode(), digest_size=16).hexdigest()
