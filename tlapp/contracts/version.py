"""The contract's version, and what a plugin written for another one is told."""

from __future__ import annotations

VERSION = "1.2"
"""MAJOR.MINOR: a plugin written for 1.1 needs 1.1 or a later 1; another major number is another contract."""


def misfit(written_for: object) -> str:
    """Why a plugin written for a version cannot run on this one, in words; "" where it can."""
    try:
        major, minor = map(int, str(written_for).split("."))
    except ValueError:
        return f"its `contract` must be a version of tlapp.contracts, such as {VERSION}. Received: {written_for!r}"
    ours, level = map(int, VERSION.split("."))
    if major == ours and minor <= level:
        return ""
    cure = "a newer tlapp" if (major, minor) > (ours, level) else "a newer release of it"
    return f"it was written for contract {written_for}; this tlapp has contract {VERSION}: install {cure}"
