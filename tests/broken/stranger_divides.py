"""Fails when it is imported, which its source does not tell."""

from tlapp.contracts import Strategy

RATIO = 1 / len("")


class Divides(Strategy):
    """Divide by zero."""
