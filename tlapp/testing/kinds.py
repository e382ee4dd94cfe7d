"""Which rules are tried on which kind of plugin, in order: quick ones first."""

from __future__ import annotations

from tlapp.testing import backbones as b
from tlapp.testing import heads as h
from tlapp.testing import reporters as p
from tlapp.testing import rules as r
from tlapp.testing import strategies as s
from tlapp.testing.subject import BackboneSubject, HeadSubject, ReporterSubject, StrategySubject

DELIVERY = (r.saved, r.savedmodel, r.tflite)

KINDS = {
    "strategy": (
        StrategySubject,
        (
            r.contract,
            r.options,
            r.yaml,
            s.pure,
            s.light_plan,
            s.stages,
            r.learns,
            s.frozen,
            s.live,
            s.norms,
            s.keeps,
            *DELIVERY,
            r.seed,
            r.resume,
            r.offline,
        ),
    ),
    "head": (
        HeadSubject,
        (r.contract, r.options, r.yaml, r.light_import, h.builds, h.loss, r.learns, *DELIVERY, r.seed, r.resume, r.offline),
    ),
    "reporter": (ReporterSubject, (r.contract, r.options, r.yaml, r.light_import, p.told, p.stops, r.offline)),
    "backbone": (
        BackboneSubject,
        (r.contract, r.light_import, b.names, b.facts, b.graph, b.layers, b.cut, b.size, r.learns, *DELIVERY, r.offline),
    ),
}
