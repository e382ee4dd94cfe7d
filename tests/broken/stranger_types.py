"""No plugins, or not whole ones."""

from tlapp.contracts import BackboneProvider, Field, Fit, Head, Plan, Strategy


def function():
    """A function."""


number = 3


class NoPlan(Strategy):
    """Say nothing."""


class Collides(Strategy):
    """Have a seed of its own."""

    seed: int = Field(0, description="of something else")

    def plan(self, task, backbone):
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),))


class FromTheFuture(Collides):
    """Be written for a contract to come."""

    contract = "7.3"


class NoBuild(Head):
    """Say nothing."""


class NoLoad(BackboneProvider):
    """Say nothing."""

    def names(self):
        return ()


class BadDefault(Strategy):
    """Have a default that is refused by its own check."""

    part: int = Field(0, ge=1, validate_default=True, description="of something")

    def plan(self, task, backbone):
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),))
