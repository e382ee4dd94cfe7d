"""Fails when it is imported, which its source does not tell."""

from tlapp.contracts import Plan, Strategy

RATIO = 1 / len("")


class Divides(Strategy):
    """Divide by zero."""

    def plan(self, task, backbone):
        return Plan(())
