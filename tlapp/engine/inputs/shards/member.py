"""What a shard holds, whichever kind it is, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

Read = Callable[[int, int], bytes]
"""(offset, how many) to so many bytes; fewer where there are no more."""


class Member(NamedTuple):
    """A member of a tar, or a record of a TFRecord file: its name, where it begins in the shard, and its bytes."""

    name: str
    offset: int
    size: int

    def read_from(self, file: BinaryIO, limit: int | None = None) -> bytes:
        """What it holds, or the first `limit` bytes of it.

        Raises:
            Damaged: the shard ends before it does.
        """
        size = self.size if limit is None else min(self.size, limit)
        file.seek(self.offset)
        content = file.read(size)
        if len(content) < size:
            raise Damaged(f"{self.name} is cut short")
        return content


class Damaged(ValueError):
    """A shard, or something in it, is not as it must be: the words say what, and where in the shard."""
