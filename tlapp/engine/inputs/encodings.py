"""Bytes to text: UTF-8, with or without a byte order mark; any other encoding is named."""

from __future__ import annotations

import codecs
import os

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_FAMILIES = ("gb18030", "shift_jis", "euc_kr")
"""Encodings of more than one byte a character that are told from those of one, in the order in which they are tried."""


class NotUtf8(ValueError):
    """Bytes that are not UTF-8; the sentence names the likely encoding."""


def decoded(content: bytes, cut: bool = False) -> str:
    """The text of some bytes, without the byte order mark; `cut`: the last character may be cut in two.

    Raises:
        NotUtf8: they are of another encoding.
    """
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(content, final=not cut)
    except UnicodeDecodeError as error:
        raise NotUtf8(not_utf8(content)) from error


def is_file(source: str) -> bool:
    """Whether a source is the path of a file of text, not the text itself."""
    return source[-4:].lower() == ".txt" and "\n" not in source and os.path.isfile(source)


def not_utf8(content: bytes) -> str:
    """What is wrong with bytes that are not UTF-8, and what would be right."""
    return f"is not UTF-8 but seems to be {encoding(content)}; save it as UTF-8"


def encoding(content: bytes) -> str:
    """The likely encoding of bytes that are not UTF-8."""
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    if content.count(0) > len(content) // 8:
        return "UTF-16"
    high = sum(byte > 127 for byte in content)
    pairs = high > len(content) // 4  # most characters are not ASCII
    for name in _FAMILIES if pairs else ():
        if _decodes(content, name):
            return f"{name} or another encoding of Asian languages"
    return "Windows-1252 (Latin-1)" if _decodes(content, "cp1252") else "an encoding of one byte a character"


def _decodes(content: bytes, name: str) -> bool:
    try:
        content.decode(name)
    except UnicodeDecodeError:
        return False
    return True
