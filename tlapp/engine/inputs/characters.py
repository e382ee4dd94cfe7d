"""What BERT's tokenizer makes of each character of Unicode, as a table of runs that TensorFlow's operations look up."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

BLANKS = "\t\n\r"
"""Control characters that are white space; all others are dropped."""

CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
       (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))  # fmt: skip
"""First and last code points of the ideographs that BERT takes as words of their own."""

_ALIKE = (*CJK[:6], (0xD800, 0xDFFF), (0xE000, 0xF8FF), (0x2CEB0, 0x2F7FF), (0x30000, 0xDFFFF), (0xE0200, 0xEFFFF),
          (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))  # fmt: skip
"""Stretches of ideographs, surrogates, private use and unassigned code points: in each all are treated alike."""

_DROPPED = ("Cc", "Cf", "Co")
_SPACES = ("Zs", "Zl", "Zp")
_REPLACEMENT = "\ufffd"


class Runs(NamedTuple):
    """Runs of neighbouring code points that are treated alike: each becomes `before`, itself if `own`, and `after`.

    Attributes:
        starts: the first code point of each run, (n,) int32, ascending.
        before, after: strings, (n,).
        own: booleans, (n,).
    """

    starts: np.ndarray
    before: np.ndarray
    own: np.ndarray
    after: np.ndarray


@functools.cache
def runs(lowercase: bool, strip_accents: bool, phone: bool = False) -> Runs:
    """The table for a tokenizer; words of a normalized text are then what stands between blanks.

    Args:
        phone: as MediaPipe's does it, which lower-cases ASCII alone, and keeps accents and control characters.
    """
    pieces = _pieces_on_phone if phone else functools.partial(_pieces, lowercase=lowercase, strip_accents=strip_accents)
    starts, kinds = [0], [_treatment("\0", pieces)]
    for code in _codes():
        kind = _treatment(chr(code), pieces)
        if kind != kinds[-1]:
            starts.append(code)
            kinds.append(kind)
    before, own, after = zip(*kinds, strict=True)
    return Runs(
        np.array(starts, np.int32),
        np.array([text.encode() for text in before], object),
        np.array(own),
        np.array([text.encode() for text in after], object),
    )


def _codes() -> Iterator[int]:
    """Code points, of stretches whose characters are all treated alike only the first."""
    ends = dict(_ALIKE)
    code = 0
    while code <= sys.maxunicode:
        yield code
        code = ends.get(code, code) + 1


_KEEP = ("", True, "")
_ALONE = (" ", True, " ")


def _treatment(char: str, pieces: Callable[[str], Iterator[str]]) -> tuple[str, bool, str]:
    """What stands before a character, whether it stands itself, and what stands after it."""
    text = "".join(pieces(char))
    if text == char:
        return _KEEP
    return _ALONE if text == f" {char} " else (text, False, "")


def _pieces(char: str, lowercase: bool, strip_accents: bool) -> Iterator[str]:
    category = unicodedata.category(char)
    if char in BLANKS or category in _SPACES:
        yield " "
    elif category in _DROPPED or char == _REPLACEMENT:
        return
    elif _is_ideograph(char):
        yield f" {_plain(char, lowercase, strip_accents)} "
    else:
        for each in _plain(char, lowercase, strip_accents):
            yield f" {each} " if _is_punctuation(each) else each


def _pieces_on_phone(char: str) -> Iterator[str]:
    if char in f"{BLANKS}\v\f\x85" or unicodedata.category(char) in _SPACES:
        yield " "
    elif _is_ideograph(char) or _is_punctuation(char):
        yield f" {char} "
    else:
        yield char.lower() if char.isascii() else char


def _is_ideograph(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in CJK)


def _plain(char: str, lowercase: bool, strip_accents: bool) -> str:
    if strip_accents:
        char = "".join(each for each in unicodedata.normalize("NFD", char) if unicodedata.category(each) != "Mn")
    return "".join(each.lower() for each in char) if lowercase else char


def _is_punctuation(char: str) -> bool:
    """Of Unicode's category P, or any visible ASCII character that is no letter and no digit."""
    return unicodedata.category(char).startswith("P") or ("!" <= char <= "~" and not char.isalnum())
