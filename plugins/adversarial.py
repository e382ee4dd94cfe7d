"""Adversarial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tlapp_plugins.shared import domain_losses
from tlapp_plugins.shared.adapt import SOURCE, SOURCE_STAGES, Adapt
from tlapp_plugins.shared.rounds import PAIR

from tlapp.contracts import Backbone, Batch, Field, Fit, Net, OneOf, Phase, Statistics, Task, above, other_than, when

Factor = Annotated[float, Field(gt=0)]
METHODS = ("adabn", "coral", "mcc", "cdan", "dann")
DISCRIMINATORS = ("dann", "cdan")
FEATURES = (*DISCRIMINATORS, "coral")
"""Methods that change nothing unless a stage trains: one does at least."""
LEARNT = other_than("adabn")
"""Methods that train."""


class Adversarial(Adapt):
    """Make the features of source and target alike: by an adversary (DANN, CDAN), MCC, CORAL or batch-norm statistics (AdaBN)."""

    method: Literal["dann", "cdan", "mcc", "coral", "adabn", "auto"] = Field(
        "auto", description="auto tries all and keeps the one with the best score without labels"
    )
    last: int = Field(
        3, ge=0, description="stages that train on the source, counted from the output; 0 trains only the head",
        when=when(source_epochs=above(0)),
    )  # fmt: skip
    decay: float = Field(
        1.0, gt=0, le=1, description="learning-rate factor per stage towards the input",
        when=(SOURCE_STAGES, when(adapt_last=above(1), method=LEARNT)),
    )  # fmt: skip
    learning_rate: float = Field(
        5e-4, gt=0, le=10, by_input={"text": 5e-5}, description="learning rate of the last stage and the head",
        when=(SOURCE, when(adapt_last=above(0), method=LEARNT), when(method=(*FEATURES, "auto"))),
    )  # fmt: skip
    epochs: int = Field(15, ge=1, description="maximum epochs of adapting", when=when(method=LEARNT))
    adapt_last: int = Field(
        0,
        ge=0,
        description="stages that train while adapting; 0: only the head, or one for DANN, CDAN, CORAL",
        when=when(method=LEARNT),
    )
    strength: tuple[Factor, ...] = Field(
        (1.0,),
        min_length=1,
        description="weight of the adapting loss at the end of its ramp; of several values the one with the best score is kept",
        when=when(method=LEARNT),
    )
    width: int = Field(128, ge=1, description="units of the domain classifier", when=when(method=(*DISCRIMINATORS, "auto")))

    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase | OneOf, ...]:
        methods = METHODS if self.method == "auto" else (self.method,)
        strengths = tuple(dict.fromkeys(self.strength))
        tried = [(method, strength) for method in methods for strength in (strengths if method != "adabn" else (1.0,))]
        phases = tuple(self.adapt(method, strength, backbone) for method, strength in tried)
        return phases if len(phases) == 1 else (OneOf(phases=phases),)

    def adapt(self, method: str, strength: float, backbone: Backbone) -> Phase:
        """The phase of one method, at one strength."""
        if method == "adabn":
            return Statistics(name=method, rates=backbone.all(), streams=("target",), select="target")
        last = max(self.adapt_last, 1) if method in FEATURES else self.adapt_last
        return Fit(
            name=method if len(self.strength) == 1 else f"{method}-{strength:g}", streams=PAIR, epochs=self.epochs,
            loss=Adapting(method, strength, last > 0),
            parts={"domain": Classifier(self.width)} if method in DISCRIMINATORS else {},
            select="target", **self.adapted(backbone, last),
        )  # fmt: skip


@dataclass(frozen=True)
class Classifier:
    """Makes a domain classifier: features -> one logit."""

    width: int

    def __call__(self) -> Any:
        import keras

        return keras.Sequential([keras.layers.Dense(self.width, "relu"), keras.layers.Dense(1)])


@dataclass(frozen=True)
class Adapting:
    """The head's loss on the source, and `strength` times the ramp times a method's loss over both domains.

    `live`: whether a stage trains. Where none does, the source is standardised by itself; where one does, it is seen with the
    target's statistics, as nothing else would hold the scale of the features that they were taken of.
    """

    method: str
    strength: float
    live: bool

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        import keras

        source, target = batches["train"], batches["target"]
        features = [net.features(each.x) for each in (source, target)]
        if not self.live:
            features[0] = domain_losses.standardise(features[0])
        outputs = [net.head(each) for each in features]
        ramp = self.strength * domain_losses.ramp(net.progress)
        logged = {
            "entropy": keras.ops.mean(domain_losses.entropy(keras.ops.softmax(outputs[1]))),
            "ramp": keras.ops.convert_to_tensor(ramp),
        }
        if self.method == "mcc":
            terms = {"confusion": ramp * domain_losses.class_confusion(outputs[1])}
        elif self.method == "coral":
            terms = {"coral": ramp * domain_losses.correlation_distance(*features)}
        else:
            seen = tuple(features)
            if self.method == "cdan":
                seen = tuple(domain_losses.outer(f, keras.ops.softmax(o)) for f, o in zip(features, outputs, strict=True))
            # These features are as long as the root of their number: at length 1 the reversed gradient leaves them whole
            short = [each / each.shape[1] ** 0.5 for each in seen]
            logits = [net.part("domain")(domain_losses.reverse(each, ramp)) for each in short]
            terms = {"domain": domain_losses.domain_loss(*logits)}
            logged["domain_accuracy"] = domain_losses.domain_accuracy(*logits)
        loss = net.task_loss(source, outputs[0])
        return {"loss": loss, **terms, **{name: keras.ops.stop_gradient(value) for name, value in logged.items()}}
