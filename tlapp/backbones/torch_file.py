"""Reads the tensors of a file written by torch.save before 1.6, without PyTorch and without running what a pickle may ask for."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tlapp.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"}


MOST_NAMED = 1_000_000
"""Values that a pickle may refer back to: a network of a thousand tensors names some ten thousand."""

_BROKEN = (pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError, EOFError, OSError, ArithmeticError,
           MemoryError, RecursionError)  # fmt: skip
"""What Python's unpickler and NumPy raise for a file that is something else, or that lies about its sizes."""


class Storage(NamedTuple):
    """A flat run of numbers that tensors look into."""

    key: str
    dtype: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Restricted(pickle.Unpickler):
    """An unpickler that makes ordered dictionaries and tensor views, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Stand-ins for the few names that a file of tensors holds."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: Tensor(storage, offset, size, stride)
        if module == "torch" and name in KINDS:
            return KINDS[name]
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> Storage:
        """A reference to a storage, whose numbers stand after the pickles."""
        _, dtype, key, _, length, _ = pid
        return Storage(key, dtype, length)


def read(path: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Name -> array, in the file's order.

    Args:
        path: a file of the old torch.save format that holds a dictionary of tensors.
        sha256: what the file's digest must be; None takes any.

    Raises:
        UserError: the digest differs, or the file is something else.
    """
    try:
        if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise UserError(f"{path}: its SHA-256 is not that of the published weights; reinstall the package that it came with")
        with path.open("rb") as file:
            return _arrays(file)
    except _BROKEN as error:
        raise UserError(f"{path}: cannot be read as a file of tensors in PyTorch's old format: {error}") from error


def _unpickled(file: IO[bytes]) -> Any:
    """The next pickle of a file, looked at before it is read.

    One that names a far place in the unpickler's memory would make it take all that there is.
    """
    begin = file.tell()
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= (argument or 0) <= MOST_NAMED:
            raise ValueError(f"it names {argument} values")
    file.seek(begin)
    return Restricted(file).load()


def _arrays(file: IO[bytes]) -> dict[str, np.ndarray]:
    if _unpickled(file) != MAGIC:
        raise ValueError("it does not begin with PyTorch's mark")
    for _ in ("protocol version", "sizes of C types"):
        _unpickled(file)
    tensors: dict[str, Tensor] = _unpickled(file)
    known = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    numbers = {key: _numbers(file, known[key]) for key in _unpickled(file)}
    return {name: _view(numbers[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _numbers(file: IO[bytes], storage: Storage) -> np.ndarray:
    """One storage: its length as int64, then its numbers."""
    length = int(np.frombuffer(file.read(8), "<i8")[0])
    if length != storage.length:
        raise ValueError(f"storage {storage.key} holds {length} numbers instead of {storage.length}")
    size = length * np.dtype(storage.dtype).itemsize
    if not 0 <= size <= os.fstat(file.fileno()).st_size:
        raise ValueError(f"storage {storage.key} of {size} bytes is larger than the file")
    return np.frombuffer(file.read(size), storage.dtype, count=length)


def _view(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A tensor's array, in C order whatever the strides were."""
    offset, size, stride = tensor.offset, tuple(tensor.size), tuple(tensor.stride)
    if min((offset, *size, *stride)) < 0 or len(size) != len(stride):
        raise ValueError("a tensor has negative strides or sizes")
    if math.prod(size) > len(numbers):
        raise ValueError("a tensor has more numbers than its storage")
    if offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) >= len(numbers):
        raise ValueError("a tensor reaches beyond its storage")
    flat = numbers[offset:]
    strides = [s * numbers.itemsize for s in stride]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, size, strides, writeable=False)).reshape(size)
