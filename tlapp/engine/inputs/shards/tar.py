"""The members of a tar and where each lies in it: POSIX.1-2001 (ustar, pax) and GNU's long names."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from tlapp.engine.inputs.shards.member import Damaged, Member

_BLOCK = 512
_LONG_NAME, _PAX, _SPARSE = tarfile.GNUTYPE_LONGNAME, (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.GNUTYPE_SPARSE
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
_LONGEST = 1 << 20
"""Bytes of a header that tells about the next member."""
_ZEROS = bytes(1 << 16)


def members(file: BinaryIO) -> Iterator[Member]:
    """The files in a tar, in order, but for hidden ones. The file may be read elsewhere between two of them.

    Names are only names: "..", "." and a leading "/" are left out of them.

    Raises:
        Damaged: it is cut short, altered, compressed, or holds a link; says which member.
    """
    end, offset, number = file.seek(0, os.SEEK_END), 0, 0
    about: dict[str, str] = {}
    while offset < end:
        info = _header(file, offset, number)
        if info is None:
            _check_end(file, offset)
            return
        name, begin = about.get("path", info.name), offset + _BLOCK
        size = _number(about["size"], number) if "size" in about else info.size
        offset = begin + -(-size // _BLOCK) * _BLOCK
        if size < 0 or begin + size > end:
            raise Damaged(f"cut short: member {number} ({name}) should have {size} bytes, and {end - begin} follow")
        if info.type in _PAX or info.type == _LONG_NAME:
            about |= _about(Member(name, begin, size), file, info.type, number)
            continue
        if info.type == _SPARSE or any(key.startswith("GNU.sparse") for key in about):
            raise Damaged(f"member {number} ({name}) is stored as a sparse file; pack the shard without that")
        if info.type in _LINKS:
            raise Damaged(f"member {number} ({name}) is a link; pack the shard with what it leads to in its place")
        if info.type in _FILES and (plain := _plain(name)):
            yield Member(plain, begin, size)
        about, number = {}, number + (info.type in _FILES)


def _header(file: BinaryIO, offset: int, number: int) -> tarfile.TarInfo | None:
    """The header at an offset; None for the one that ends a tar."""
    file.seek(offset)
    content = file.read(_BLOCK)
    try:
        return tarfile.TarInfo.frombuf(content, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if len(content) == _BLOCK and not any(content):
            return None
        if offset == 0:
            raise Damaged("compressed; decompress it first" if _is_packed(content) else "not a tar file") from error
        raise Damaged(f"damaged: the header of member {number} cannot be read ({error})") from error


def _is_packed(content: bytes) -> bool:
    return content.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def _check_end(file: BinaryIO, offset: int) -> None:
    """Check that nothing follows the end: tars that were put together by cat are not one tar."""
    file.seek(offset)
    while content := file.read(len(_ZEROS)):
        if content != _ZEROS[: len(content)]:
            raise Damaged("more follows its end: are these several tars in one file? pack them anew, as one or each by itself")


def _about(header: Member, file: BinaryIO, kind: bytes, number: int) -> dict[str, str]:
    """What a header says about the member after it."""
    if header.size > _LONGEST:
        raise Damaged(f"damaged: {header.size} bytes of header for member {number}")
    content = header.read_from(file)
    if kind == _LONG_NAME:
        return {"path": content.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    about = {}
    while content.strip(b"\0"):  # records such as b"20 path=0001.jpg\n"
        length, _, rest = content.partition(b" ")
        end = _number(length.decode("latin-1"), number)
        key, _, value = content[len(length) + 1 : end - 1].partition(b"=")
        if not rest or end <= len(length) + 1 or end > len(content):
            raise Damaged(f"damaged: the header of member {number} cannot be read")
        about[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[end:]
    return about


def _number(text: str, number: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Damaged(f"damaged: the header of member {number} cannot be read")
    return int(text)


def _plain(name: str) -> str:
    """A name that names nothing outside the tar; "" for a hidden one."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "" if any(part.startswith(".") or part == "__MACOSX" for part in parts) else "/".join(parts)
