"""CRC-32C (Castagnoli; RFC 3720, appendix B.4), which TFRecord files are protected by, for long contents many bytes at a time.

A CRC is linear: pieces of equal length are computed side by side, then joined two by two, the first of each pair moved on by
the length of the second.
"""

from __future__ import annotations

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78
_PIECE = 64
_WORTH = 2048
"""Bytes from which on pieces are faster."""


def masked(content: bytes) -> int:
    """The checksum as TFRecord files store it."""
    checksum = crc32c(content)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    """The CRC-32C of some bytes."""
    return _in_pieces(content) if len(content) >= _WORTH else _byte_by_byte(content)


def _byte_by_byte(content: bytes) -> int:
    state, table = 0xFFFFFFFF, _numbers()
    for byte in content:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _in_pieces(content: bytes) -> int:
    count = 1 << (-(-len(content) // _PIECE) - 1).bit_length()
    padded = np.zeros(count * _PIECE, np.uint8)  # zeros in front change nothing where the state is 0
    padded[-len(content) :] = np.frombuffer(content, np.uint8)
    first = len(padded) - len(content)
    padded[first : first + 4] ^= 0xFF  # the same as a first state of 0xFFFFFFFF
    state, table = np.zeros(count, np.uint32), _table()
    for column in np.ascontiguousarray(padded.reshape(count, _PIECE).T):
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    level = 0
    while len(state) > 1:
        state = _moved(state[::2], level) ^ state[1::2]
        level += 1
    return int(state[0]) ^ 0xFFFFFFFF


def _moved(state: np.ndarray, level: int) -> np.ndarray:
    """States, (n,) uint32, after 2 ** level pieces of zeros."""
    tables = _tables(level)
    out = tables[0][state & 0xFF]
    for number in range(1, 4):
        out = out ^ tables[number][(state >> (8 * number)) & 0xFF]
    return out


@functools.cache
def _tables(level: int) -> np.ndarray:
    """What becomes of each value of each byte of a state after 2 ** level pieces of zeros: (4, 256) uint32."""
    state = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, None])
    if level:
        return _moved(_moved(state, level - 1), level - 1)
    table = _table()
    for _ in range(_PIECE):
        state = table[state & 0xFF] ^ (state >> 8)
    return state


@functools.cache
def _table() -> np.ndarray:
    """What becomes of each value of the lowest byte: (256,) uint32."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = np.where(state & 1, (state >> 1) ^ np.uint32(_POLYNOMIAL), state >> 1)
    return state


@functools.cache
def _numbers() -> list[int]:
    return [int(number) for number in _table()]
