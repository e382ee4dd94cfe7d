"""Styles that change what crosses the cut, not the pictures: they cost nothing, since the front stays computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.contracts import Batch, Net, UserError


def adain(x: Any, other: Any) -> Any:
    """Activations (batch, height, width, channels) with each channel's mean and deviation part of the way to another's.

    Adaptive instance normalisation (Huang & Belongie 2017, https://arxiv.org/abs/1703.06868); how far is drawn for each picture.
    """
    import keras

    return _moved(x, other, keras.random.uniform((keras.ops.shape(x)[0], 1, 1, 1)))


def mixstyle(x: Any, other: Any) -> Any:
    """As `adain`, towards another picture of the same batch, how far by Beta(0.1, 0.1).

    Zhou et al. 2021, https://arxiv.org/abs/2104.02008
    """
    import keras

    return _moved(x, keras.ops.roll(x, 1, axis=0), keras.random.beta((keras.ops.shape(x)[0], 1, 1, 1), 0.1, 0.1))


def _moved(x: Any, other: Any, amount: Any) -> Any:
    import keras

    ops = keras.ops
    (mean, variance), (wanted, spread) = (ops.moments(each, axes=(1, 2), keepdims=True) for each in (x, other))
    deviation, target = ops.sqrt(variance + 1e-6), ops.sqrt(spread + 1e-6)
    bend = ops.stop_gradient(deviation + amount * (target - deviation)), ops.stop_gradient(mean + amount * (wanted - mean))
    return (x - mean) / deviation * bend[0] + bend[1]


def mixup() -> Any:
    """MixUp (Zhang et al. 2018, https://arxiv.org/abs/1710.09412), as Keras has it."""
    import keras

    return keras.layers.MixUp()


def cutmix() -> Any:
    """CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899), as Keras has it."""
    import keras

    return keras.layers.CutMix()


STATISTICS: dict[str, Callable[[Any, Any], Any]] = {"adain": adain, "mixstyle": mixstyle}
LABELS: dict[str, Callable[[], Any]] = {"mixup": mixup, "cutmix": cutmix}
MIXES = (*STATISTICS, *LABELS)


@dataclass(frozen=True)
class Mixed:
    """The head's loss on the source, changed at the cut by one of `MIXES`."""

    name: str

    def __call__(self, net: Net, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        source = batches["train"]
        if not hasattr(source.x, "shape") or len(source.x.shape) != 4:
            advice = "choose another option last"
            raise UserError(f"needs one tensor (height, width, channels) at the cut; {advice}", self.name, "style")
        if self.name in STATISTICS:
            other = batches["target"].x if "target" in batches else source.x
            source = source._replace(x=STATISTICS[self.name](source.x, other))
        else:
            mixed = net.part("mix")({"images": source.x, "labels": source.y}, training=True)
            source = source._replace(x=mixed["images"], y=mixed["labels"])
        return {"loss": net.task_loss(source, net.head(net.features(source.x)))}
