"""The records of a TFRecord file, and the picture and label of a tf.train.Example, read without TensorFlow.

A record is its length (8 bytes), a checksum of that (4), the content, and a checksum of it (4). The keys are those of
TensorFlow's image classification sets, and of TensorFlow Datasets.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from tlapp.engine.inputs.shards.crc32c import masked
from tlapp.engine.inputs.shards.member import Damaged, Member, Read

PICTURE = ("image/encoded", "image")
LABEL = ("image/class/text", "image/class/label", "label")
_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_Span = tuple[int, int]


def records(file: BinaryIO) -> Iterator[Member]:
    """The records of a file, named by their numbers from 0. The file may be read elsewhere between two of them.

    Raises:
        Damaged: it is cut short or altered, or compressed; says which record.
    """
    end, offset, number = file.seek(0, os.SEEK_END), 0, 0
    while offset < end:
        file.seek(offset)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise Damaged(f"cut short: record {number} ends within its first {_HEAD.size} bytes")
        length, checksum = _HEAD.unpack(head)
        if masked(head[:8]) != checksum:
            if number == 0:
                packed = head.startswith((b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda"))
                raise Damaged("compressed; write it again without compression" if packed else "not a TFRecord file")
            raise Damaged(f"damaged: the checksum of the length of record {number} is wrong, so nothing after it can be read")
        offset += _HEAD.size
        if offset + length + _TAIL.size > end:
            raise Damaged(f"cut short: record {number} should have {length} bytes, and {max(0, end - offset)} follow")
        yield Member(str(number), offset, length)
        offset += length + _TAIL.size
        number += 1


def picture(record: Member, file: BinaryIO) -> bytes:
    """What the file of a record's picture held.

    Raises:
        Damaged: the record's checksum is wrong, or it holds none.
    """
    content = record._replace(size=record.size + _TAIL.size).read_from(file)
    content, (checksum,) = content[: record.size], _TAIL.unpack(content[record.size :])
    if masked(content) != checksum:
        raise Damaged(f"record {record.name}: its checksum is wrong")
    features = _features(record, lambda offset, count: content[offset : offset + count], PICTURE)
    begin, end = _picture(record, features)
    return content[begin:end]


def label(record: Member, file: BinaryIO) -> str | None:
    """A record's label, several with ";" between, without reading its picture; None where it has none.

    Raises:
        Damaged: it is no tf.train.Example, or holds no picture.
    """

    def read(offset: int, count: int) -> bytes:
        file.seek(record.offset + offset)
        return file.read(count)

    features = _features(record, read, (*PICTURE, *LABEL))
    _picture(record, features)
    for key in LABEL:
        values = features.get(key, [])
        texts = [value if isinstance(value, str) else _text(record, read(value[0], value[1] - value[0])) for value in values]
        if any(texts):
            return ";".join(texts)
    return None


def _picture(record: Member, features: dict[str, list[_Span | str]]) -> _Span:
    for key in PICTURE:
        values = features.get(key, [])
        if len(values) == 1 and not isinstance(values[0], str):
            return values[0]
    raise Damaged(f"record {record.name}: expected one encoded picture under the key {PICTURE[0]}")


def _text(record: Member, content: bytes) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError as error:
        raise Damaged(f"record {record.name}: its label is not UTF-8") from error


def _features(record: Member, read: Read, keys: tuple[str, ...]) -> dict[str, list[_Span | str]]:
    """The features of an Example that have one of these keys: where each of their values lies, or a number as text.

    An Example is Features in field 1; these are entries in field 1, each a key in field 1 and a Feature in field 2.
    """
    found: dict[str, list[_Span | str]] = {}
    try:
        for features in _fields(read, (0, record.size), 1):
            for entry in _fields(read, features, 1):
                parts = {number: span for number, span in _all_fields(read, entry)}
                begin, end = parts.get(1, (0, 0))
                key = read(begin, end - begin).decode("utf-8", "replace")
                if key in keys and 2 in parts:
                    found[key] = list(_values(read, parts[2]))
    except (IndexError, struct.error) as error:
        raise Damaged(f"record {record.name}: not a tf.train.Example") from error
    return found


def _values(read: Read, feature: _Span) -> Iterator[_Span | str]:
    """The values of a Feature: bytes in field 1, floats in field 2, integers in field 3; in each they lie in field 1."""
    for kind, values in _all_fields(read, feature):
        for begin, end in _fields(read, values, 1):
            if kind == 1:
                yield begin, end
            elif kind == 2:
                yield from (f"{number:.9g}" for (number,) in struct.iter_unpack("<f", read(begin, end - begin)))
            else:
                content, at = read(begin, end - begin), 0
                while at < len(content):
                    number, at = _varint(content, at)
                    yield str(number - (1 << 64) if number >> 63 & 1 else number)


def _fields(read: Read, message: _Span, wanted: int) -> Iterator[_Span]:
    return (span for number, span in _all_fields(read, message) if number == wanted)


def _all_fields(read: Read, message: _Span) -> Iterator[tuple[int, _Span]]:
    """The fields of a protocol buffer message: the number of each, and where its value lies.

    Raises:
        IndexError: it is no such message.
    """
    start, end = message
    while start < end:
        head = read(start, min(20, end - start))
        tag, at = _varint(head, 0)
        kind, length = tag & 7, 0
        if kind == _BYTES:
            length, at = _varint(head, at)
        elif kind == _VARINT:
            length = _varint(head, at)[1] - at
        elif kind in (_FIXED_32, _FIXED_64):
            length = 4 if kind == _FIXED_32 else 8
        else:
            raise IndexError(kind)
        begin, start = start + at, start + at + length
        if start > end:
            raise IndexError(start)
        yield tag >> 3, (begin, start)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number in base 128, lowest digits first, and where it ends."""
    number, shift = 0, 0
    while shift < 70:
        byte = content[at]
        number, at, shift = number | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 128:
            return number, at
    raise IndexError(at)
