"""How an exported model takes texts: strings with the tokenizer inside, ids, text files as vectors, and programs for texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlapp.contracts.input_export import Attachment, Endpoint, Feature, InputExport, ProcessUnit, Snippet
from tlapp.engine.inputs import pairs as of_pairs
from tlapp.engine.inputs.text_programs import PREPARE, PREPARE_PAIR, program
from tlapp.engine.inputs.wordpiece import FIRST, LAST, tokenizer
from tlapp.errors import UserError

VOCABULARY = "vocab.txt"
"""The file beside an artifact, and inside a TFLite file, that holds the tokens in the order of their ids."""
BERT_OPTIONS, VOCABULARY_FILE = 4, 5
"""BertTokenizerOptions and VOCABULARY, by their numbers in the metadata schema."""
ONE_TEXT = "MediaPipe's TextClassifier takes one text, so that it cannot open a model of pairs."


@dataclass(frozen=True)
class TextExport(InputExport):
    """How an exported model takes texts, or `pairs` of them, of at most `max_length` tokens; see `tlapp.contracts.TextInput`."""

    names: tuple[str, ...] = ("ids",)
    noun: str = "text"
    vocabulary: tuple[str, ...] = ()
    lowercase: bool = True
    strip_accents: bool = True
    longest: int = 512
    max_length: int = 512
    pairs: bool = False

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
            **({"pairs": True} if self.pairs else {}),
        }  # fmt: skip

    def report(self) -> dict[str, Any]:
        return {"max_length": self.max_length, **({"mediapipe": ONE_TEXT} if self.pairs else {})}

    def report_on(self, contents: Sequence[bytes]) -> dict[str, Any]:
        """How many texts MediaPipe cuts into other tokens than the model was trained on: its answers to these may differ."""
        if self.pairs:
            return {}
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
        if self.pairs:
            return ()
        words = "Tokens in the order of their ids."
        return [ProcessUnit(BERT_OPTIONS, (Attachment(VOCABULARY, words, VOCABULARY_FILE, self.files()[VOCABULARY]),))]

    def endpoints(self) -> Mapping[str, Endpoint]:
        takes = of_pairs.NAMES if self.pairs else of_pairs.NAMES[:1]
        return {"serve_text": Endpoint({name: ((None,), "string") for name in takes}, self._ids)}

    def received(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """Ids cut to the model's length, as in training: a client may give those of a whole text, for which there are no
        positions.
        """
        from keras import ops

        ids = arrays[0][:, : self.max_length]
        is_last = ops.equal(ops.cumsum(ops.ones_like(ids), axis=1), self.max_length)
        return [ops.where(ops.logical_and(is_last, ops.not_equal(ids, 0)), self.vocabulary.index(LAST), ids)]

    def features(self) -> Sequence[Feature]:
        between, note = (f"{LAST} between two texts, ", f" {ONE_TEXT}") if self.pairs else ("", "")
        limit = f"of any length; what is over {self.max_length} is left out.{note}"
        about = (
            f"Ids of WordPiece tokens, {FIRST} first, {between}{LAST} last, {limit}",
            "Not read: the model finds segments by itself.",
            "Not read: the model attends to all ids but 0.",
        )
        return [Feature(name, words) for name, words in zip((*self.names, *self.ignored), about, strict=True)]

    def snippet(self) -> Snippet:
        program = PREPARE_PAIR if self.pairs else PREPARE
        for name, value in (
            ("lowercase", self.lowercase), ("strip_accents", self.strip_accents), ("inside", self.max_length - 2),
            ("length", self.max_length),
        ):  # fmt: skip
            program = program.replace(f"{{{name}}}", str(value))
        modules = "models, normalizers, pre_tokenizers" + ", processors" * self.pairs
        return Snippet("TEXT.txt", f"from tokenizers import Tokenizer, {modules}\n", program)

    def phone_program(self, language: str, labelling: str) -> str | None:
        return None if labelling == "number" or self.pairs else program(language, labelling)

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        inside = self.max_length - 2
        if self.pairs:
            return (
                "The endpoint serve_text of a SavedModel takes pairs of strings, texts and texts2: the tokenizer is inside. "
                f"Elsewhere give ids of the tokens in {VOCABULARY}: {FIRST}, those of the first text, {LAST}, those of the "
                f"second, {LAST}, at most {self.max_length} in all, the longer text cut first. The program below makes them "
                f"as training did, of a file that holds both texts with a tab between them. {ONE_TEXT}"
            )
        return (
            "The endpoint serve_text of a SavedModel takes strings: the tokenizer is inside. Elsewhere give ids of the tokens in "
            f"{VOCABULARY}: {FIRST}, at most {inside} of the text, {LAST}. The program below makes them as training did. A "
            "TFLite file also opens as MediaPipe's TextClassifier, whose tokenizer keeps accents and lower-cases only ASCII: "
            "export.json says of how many test texts its tokens are others (mediapipe)."
        )

    def _ids(self, texts: Any, second: Any = None) -> Sequence[Any]:
        """Ids of strings, or of pairs of them, as long as the longest."""
        import tensorflow as tf

        if self.pairs:
            texts = of_pairs.together(texts, second)
        ids = tokenizer(self.vocabulary, self.lowercase, self.strip_accents).ids(texts, self.max_length, self.pairs)
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
    pairs = facts.get("pairs", False)
    right = all(type(known[name]) is kind for name, kind in zip(known, (bool, bool, int, int), strict=True))
    right = right and type(pairs) is bool
    if not right or not 2 + pairs < known["max_length"] <= known["longest"] or _digest(vocabulary) != facts.get("vocabulary"):  # type: ignore[operator]
        raise UserError(f"what its export says of its texts does not fit its {VOCABULARY}; export the run again")
    return TextExport(vocabulary=vocabulary, pairs=pairs, **known)  # type: ignore[arg-type]


def _digest(vocabulary: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(vocabulary).encode(), digest_size=16).hexdigest()
