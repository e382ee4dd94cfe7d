"""Races whose runs are not trained: their answers are made up."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tlapp import race
from tlapp.engine.report import Silent
from tlapp.engine.run import Interrupted
from tlapp.engine.runs.history import Epoch
from tlapp.settings import resolve
from tlapp.testing import SIZE


def settings(place, run, **more):
    backbone = f"file:{place}/tiny.keras"
    return resolve(
        {"plugin": "auto", "data": str(place / "data"), "backbone": backbone, "image_size": SIZE, "run": str(run), **more}
    )


class Runs:
    """Stands for training: writes answers, such a share of them right in each rung; interrupted in `stop`, slow in `late`."""

    def __init__(self, right, stop="", late="", examples=5000, losses=()):
        self.right, self.stop, self.late, self.examples, self.seen, self.ahead = right, stop, late, examples, [], []
        self.losses, self.told = dict(losses), []

    def __call__(self, each, reporter, resumes, ahead):
        folder = Path(each.options.run)
        self.seen.append((folder.name, each.options.plugin, each.options.backbone, resumes))
        self.ahead.append([it.options.plugin for it in ahead])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.yaml").write_text(f"plugin: {each.options.plugin}\n")
        (folder / "splits.csv").write_text("path,label,split\n")
        try:
            if folder.name == self.stop:
                raise KeyboardInterrupt
            if folder.name == self.late:
                reporter.epoch(None)
            if folder.name in self.losses:
                reporter.outline(SimpleNamespace(phases=[SimpleNamespace(name="warm-up"), SimpleNamespace(name="tune")]))
                epochs = [("warm-up", number, 9.0) for number in range(1, 6)]
                epochs += [("tune", number, loss) for number, loss in enumerate(self.losses[folder.name], 1)]
                for phase, number, loss in epochs:
                    reporter.epoch(Epoch(phase, number, {}, {"loss": loss}, True))
                    self.told.append((phase, number))
        except KeyboardInterrupt as stopped:
            raise Interrupted(None, folder) from stopped
        val = {"loss": 9.0, "accuracy": 0.5}
        labels = np.arange(400, dtype=np.int32) % 2
        count = round(400 * self.right[folder.name])  # the wrong ones are others in each rung
        right = np.random.default_rng(sum(map(ord, folder.name))).permutation(400) < count
        sure = np.where(labels[:, None] == np.arange(2), 0.9, 0.1)
        np.savez(folder / "probabilities.npz", val=np.where(right[:, None], sure, 1 - sure), val_labels=labels)
        figures = {"val": val, "seconds": {"total": 1.0}, "peak_memory_mb": 9.0 - len(self.seen)}
        figures["images"] = {"train": self.examples}
        (folder / "metrics.json").write_text(json.dumps(figures))


class Deaf(Silent):
    def epoch(self, epoch):
        pass


def raced(place, run, runs, rungs=None, seconds=None, resume=False, **more):
    asked = settings(place, run, **more)
    return race.Race(asked, Deaf(), runs, seconds, resume).run(rungs or asked.strategy.rungs())


def kept(folder):
    metrics = json.loads((folder / "metrics.json").read_text())["race"]
    return metrics["kept"], list(metrics["tried"])
