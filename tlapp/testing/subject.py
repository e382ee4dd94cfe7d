"""What is under test: a plugin, and the runs that rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tlapp import blame
from tlapp.contracts import BackboneProvider, Fit, Head, OneOf, Plan, Strategy, TextInput
from tlapp.engine.options import RunOptions
from tlapp.engine.training.kinds import is_phase, kind_of
from tlapp.engine.training.order import in_order
from tlapp.errors import TlappError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.testing.tiny import CLASSES, Dense, TinyBackbones, pictures, texts

EPOCHS = 6
# Without weight decay, what no gradient reaches does not move.
SETTINGS = {"batch_size": 12, "weight_decay": 0.0}
EACH = {"train": 8, "val": 2, "test": 4, "target": 8}
"""Pictures of each of three classes: an epoch is two whole batches, so that epochs are comparable."""


class Broken(Exception):
    """What a rule saw that it does not allow."""


class Untried(Exception):
    """Why a rule could not be tried."""


class Short:
    """A strategy whose phases are so many epochs long, all else being its own."""

    def __init__(self, strategy: Any, epochs: int):
        self._strategy, self._epochs = strategy, epochs

    def plan(self, task: Any, backbone: Any) -> Any:
        plan = self._strategy.plan(task, backbone)
        if not isinstance(plan, Plan) or not isinstance(plan.phases, tuple):
            return plan
        return plan._replace(phases=tuple(self._short(entry) for entry in plan.phases))

    def _short(self, entry: Any) -> Any:
        if isinstance(entry, OneOf):
            return replace(entry, phases=tuple(map(self._short, entry.phases)))
        return kind_of(entry).shortened(entry, self._epochs) if is_phase(entry) else entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)


class Subject:
    """A plugin under test.

    Args:
        plugin: an object or class.
        folder: to write in.
        plugin_name: its name, for errors.
        reached: hosts that its code tried to reach, so far.
        name: of a backbone, where it is a source of them.
    """

    def __init__(self, plugin: Any, folder: Path, plugin_name: str, reached: list[str], name: str | None):
        self.kind: Any = plugin if isinstance(plugin, type) else type(plugin)
        self._plugin, self.folder, self.plugin_name, self.reached, self.name = plugin, folder, plugin_name, reached, name
        self._made: dict[str, Any] = {}
        if self.loads_keras:
            quiet_tensorflow()

    loads_keras = True
    """Whether most of its rules need Keras; those that do not then wait for it too."""

    @cached_property
    def plugin(self) -> Any:
        """The object; one of its defaults where a class was given."""
        if not isinstance(self._plugin, type):
            return self._plugin
        try:
            return self._plugin()
        except Exception as error:
            raise Broken(f"{self.kind.__name__}() cannot be made without arguments: {' '.join(str(error).split())}") from error

    def once(self, name: str, make: Callable[[], Any], missing: str) -> Any:
        """What `make` gives, made once; rules that come after one whose making failed are not tried."""
        if name not in self._made:
            try:
                self._made[name] = make()
            except Exception:
                self._made[name] = None
                raise
        if self._made[name] is None:
            raise Untried(missing)
        return self._made[name]

    def parts(self) -> tuple[Strategy, Head, BackboneProvider, str]:
        """What to train with: the strategy, the head, the backbone provider, and the backbone's name."""
        raise NotImplementedError

    def trial(self, epochs: int = EPOCHS, turn: int = 0) -> Any:
        """A run on tiny pictures, `epochs` a phase; `turn` tells repetitions apart."""
        name = f"run-{epochs}-{turn}"
        return self.once(name, lambda: self._train(epochs, self.folder / name), "it does not train")

    def resumed(self) -> Any:
        """As `trial`, but interrupted in the last phase, and another run that went on from there."""
        from tlapp.testing.trial import Interrupter, Trial

        last = [phase.name for phase, _ in self.trial().moved][-1]
        job = self._job(EPOCHS, self.folder / "resumed")
        stopped = Trial(job, listener=Interrupter(last))
        try:
            stopped.all()
        except KeyboardInterrupt:
            stopped.work.save_state()
            stopped.release()
        again = Trial(job, resume=True)
        again.all()
        return again

    def _train(self, epochs: int, folder: Path) -> Any:
        quiet_tensorflow()
        from tlapp.testing.trial import Trial

        trial = Trial(self._job(epochs, folder))
        with blame.naming(self.plugin_name):
            trial.all()
        return trial

    def _job(self, epochs: int, folder: Path) -> Any:
        from tlapp.engine.job import Job

        strategy, head, provider, name = self.parts()
        options = RunOptions(**self._data(strategy), run=str(folder), **{**SETTINGS, **self.settings()})
        return Job(
            options, blame.strategy(Short(strategy, epochs), self.plugin_name), blame.head(head, self.plugin_name),  # type: ignore[arg-type]
            blame.provider(provider, self.plugin_name), name, options.model_dump(mode="json"), (), self.plugin_name,
        )  # fmt: skip

    def settings(self) -> Mapping[str, Any]:
        """Further options of the engine."""
        return {}

    def _data(self, strategy: Strategy) -> dict[str, Any]:
        from tlapp.engine.check import make_plan, needs
        from tlapp.testing.anatomy import TASK, backbone

        places = {name: self.once(name, partial(self._pictures, name), "no pictures") for name in EACH}
        plan = make_plan(strategy, TASK, backbone(3))
        asked = {stream for place in in_order(plan) for stream in needs(place.phase)}
        data = {"data": places["train"], "val": places["val"], "test": places["test"]}
        more = {"target": places["target"], "aux": places["train"], "support": places["train"], "query": places["target"]}
        return {key: str(place) for key, place in {**data, **{k: v for k, v in more.items() if k in asked}}.items()}

    def _pictures(self, name: str) -> Path:
        return pictures(self.folder / "pictures" / name, EACH[name], seed=list(EACH).index(name))


class StrategySubject(Subject):
    """A strategy, tried with one dense layer on the tiny backbone."""

    loads_keras = False

    def parts(self) -> tuple[Strategy, Head, BackboneProvider, str]:
        return self.plugin, Dense(), TinyBackbones(), "tiny"


class HeadSubject(Subject):
    """A head, tried on the tiny backbone whose last stage trains."""

    def parts(self) -> tuple[Strategy, Head, BackboneProvider, str]:
        return LastStage(), self.plugin, TinyBackbones(), "tiny"

    def _pictures(self, name: str) -> Path:
        """Where labels are numbers, the classes are called by numbers."""
        folder = super()._pictures(name)
        if self.kind.labels == "number":
            for number, shape in enumerate(CLASSES):
                (folder / shape).rename(folder / str(number))
        return folder


class ReporterSubject(Subject):
    """A reporter, told of a made-up run."""

    loads_keras = False


class BackboneSubject(Subject):
    """A backbone provider, tried by training the last stage of one of them and a dense layer."""

    def parts(self) -> tuple[Strategy, Head, BackboneProvider, str]:
        return LastStage(), Dense(), self.plugin, self.backbone_name

    def settings(self) -> Mapping[str, Any]:
        return {"image_size": self.asked["image_size"], "backbone_weights": self.asked["weights"]}

    def _pictures(self, name: str) -> Path:
        """Texts, for a backbone that takes them."""
        stated = self.loaded.facts.input
        if not isinstance(stated, TextInput):
            return super()._pictures(name)
        return texts(self.folder / f"{name}.csv", stated.vocabulary, EACH[name], seed=[*EACH].index(name))

    @cached_property
    def backbone_name(self) -> str:
        """The backbone to load.

        Raises:
            Broken: the provider lists none and none was named.
        """
        listed = [self.name] if self.name else [*self.plugin.names()]
        if not listed:
            raise Broken("it lists no backbone to try; give one: check_backbones(provider, NAME)")
        return listed[0]

    @cached_property
    def asked(self) -> dict[str, Any]:
        """The arguments of `load` that it takes: small and random if it can be."""
        for arguments in ({"image_size": s, "weights": w} for s in (64, None) for w in ("none", None)):
            try:
                self._loaded = self.plugin.load(self.backbone_name, **arguments)
                return arguments
            except TlappError as error:
                refusal = error
        raise Broken(f"load({self.backbone_name!r}) fails with every size and all weights: {refusal}")

    @property
    def loaded(self) -> Any:
        """The backbone, loaded."""
        return self.once("backbone", lambda: self.asked and self._loaded, "it does not load")


class LastStage(Strategy):
    """Train the last stage and the head."""

    def plan(self, task: Any, backbone: Any) -> Plan:
        return Plan((Fit(name="last", rates=backbone.last(1), epochs=EPOCHS, learning_rate=1e-2),))
