"""Surgical."""

from __future__ import annotations

from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, OneOf, Plan, Rates, Task


class Surgical(FineTune):
    """Try each stage alone, and keep the one that val likes best (Lee et al. 2023)."""

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.all()

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        names = [stage.name for stage in backbone.stages if stage.params] or [backbone.stages[-1].name]
        tunes = tuple(self.tune(name, {**backbone.frozen(), name: 1.0}) for name in names)
        return Plan((*self.warm_up(backbone), OneOf(phases=tunes, select="val"), *self.blended(names[0], self.rates(backbone))))
