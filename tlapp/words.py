"""Values as text for people."""

from __future__ import annotations


def shortened(value: object) -> str:
    """A value as an error shows it: on one line, cut short."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
