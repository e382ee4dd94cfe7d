"""Short adaptations from one small domain to another."""

from __future__ import annotations

import json

import numpy as np
from tlapp_plugins.adversarial import Adversarial
from tlapp_plugins.augment_adapt import AugmentAdapt
from tlapp_plugins.self_supervised import SelfSupervised
from tlapp_plugins.self_training import SelfTraining

from tlapp.testing import tiny_run

QUICK = {"warmup": 2, "source_epochs": 2, "epochs": 2, "last": 1}


def adapted(strategy, domains, folder, **options):
    source, target = domains
    run = tiny_run(strategy, source, folder, **{"target": str(target), "seed": 1, **options})
    return run, json.loads((folder / "metrics.json").read_text())


STRATEGIES = {
    "adversarial": Adversarial(**QUICK),
    "dann": Adversarial(method="dann", **QUICK),
    "self-training": SelfTraining(rounds=2, **QUICK),
    "augment-adapt": AugmentAdapt(views=2, **QUICK),
    "self-supervised": SelfSupervised(views=2, pretrain_epochs=2, **QUICK),
    "self-training, restyled": SelfTraining(rounds=2, style="mixed", views=2, **QUICK),
}


def scored(monkeypatch, **scores):
    """Let the score of a phase's epochs be what is given, and 0.1 where nothing is; "-" in a phase's name is "_" here."""
    from tlapp.engine.training.feeds import Streams

    judge = Streams.judge

    def patched(self, net, cut, phase, *more):
        judge_epoch, chosen = judge(self, net, cut, phase, *more), scores.get(phase.name.replace("-", "_"), {})

        def scored_epoch(epoch):
            judged = judge_epoch(epoch)
            return judged._replace(target={**judged.target, "score": chosen.get(epoch, 0.1)}) if judged.target else judged

        return scored_epoch

    monkeypatch.setattr(Streams, "judge", patched)


def answers(run, model=None):
    stream, model = run.dataset.streams["target"], model or run.work.model()
    return np.argmax(model.predict(stream.examples.take(np.arange(len(stream)))[0], verbose=0), axis=1)
