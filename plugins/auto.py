"""Auto."""

from __future__ import annotations

from collections.abc import Sequence

from tlapp.contracts import Backbone, Field, Fit, Plan, Rung, Strategy, Task, duration

FROZEN = {"last": 0, "style": "none"}
"""Of a strategy that adapts: only the head learns, on pictures as they are, so that one pass of the network is enough."""
PROBATION = 5
"""Epochs of training everything, of ten, after which it must be better than what there is (docs/results.md, "The race")."""


class Auto(Strategy):
    """Try the last layer first, then more of the network, and keep what val likes best: a race of strategies."""

    contract = "1.2"
    time: str | None = Field(None, description="such as 90s, 5m or 2h: after it no more is tried; the first run always ends")
    backbones: str | None = Field(None, description="backbones to choose from, with commas between, instead of option backbone")

    # With fewer pictures it never won; with 1,000 photographs and 1,900 texts it did (docs/results.md, "The race" and "Texts").
    full_from: int = Field(
        500, ge=0, by_input={"text": 0}, description="training examples from which on training everything is tried too"
    )

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        return Plan((Fit(name="head", rates=backbone.frozen(), epochs=20, learning_rate=1e-3),))

    def rungs(self) -> Sequence[Rung]:
        """The guide's ladder: frozen features of each backbone, then the last stages of the best, then all of them
        where examples are many.

        `freeze` is for what `probe` does not take: it was not better than that on any set (docs/results.md, "The race"), and val
        had a part in choosing its epoch, so that its loss on val promises more.

        With a target, the ways of adapting that cost least first; what trains stages comes after those.
        """
        names = [name.strip() for name in (self.backbones or "").split(",") if name.strip()] or [""]
        first = []
        for number, name in enumerate(names):
            end, backbone = f"-{number}" if number else "", {"backbone": name} if name else {}
            first += [Rung(f"probe{end}", "probe", backbone), Rung(f"freeze{end}", "freeze", backbone, instead=f"probe{end}")]
        return (
            *first,
            Rung("partial", "partial"),
            Rung("full", "full", least=self.full_from, probation=PROBATION),
            Rung("simple", "self-training", FROZEN, adapts=True),
            Rung("mcc", "adversarial", {"method": "mcc", **FROZEN}, adapts=True),
            Rung("self-training", "self-training", adapts=True),
        )

    @property
    def seconds(self) -> float | None:
        """As `Strategy.seconds`.

        Raises:
            UserError: it is no time.
        """
        return None if self.time is None else duration(self.time, "time")
