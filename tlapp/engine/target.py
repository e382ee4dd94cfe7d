"""How a model seems to do on the target, judged without labels.

A score that only asks for confidence is won by models that are confidently wrong. `score` therefore averages two that ask for
different things, each at most 1: information, which rewards answers that are sure and differ from picture to picture, and
neighbourhood agreement, which rewards equal answers to pictures that looked alike before anything was adapted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tlapp.engine.data import Stream
    from tlapp.engine.fit import Epoch

NEIGHBOURS = 5
"""Pictures that each picture is compared with."""
COLLAPSED = 0.99
"""Share of one class among the answers from which they are no longer answers."""


class Look(NamedTuple):
    """What a model says of the target: `terms` with "score" among them, and the class of each picture, (n,) int16."""

    terms: dict[str, float]
    said: np.ndarray


def information(probabilities: np.ndarray) -> float:
    """Mutual information of picture and answer over its largest value, log(classes): 0 to 1.

    H(mean p) - mean H(p) (Shi & Sha 2012, https://arxiv.org/abs/1206.6438; as a validator: Musgrave 2022,
    https://arxiv.org/abs/2208.07360).
    """
    return float((entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean()) / np.log(probabilities.shape[1]))


def nuclear(probabilities: np.ndarray) -> float:
    """Batch nuclear norm over its largest value: 0 to 1 (Cui et al. 2020, https://arxiv.org/abs/2003.12237)."""
    return float(np.linalg.norm(probabilities, "nuc") / np.sqrt(len(probabilities) * min(probabilities.shape)))


def agreement(probabilities: np.ndarray, neighbours: np.ndarray) -> float:
    """Mean probability that a picture and one of its neighbours (n, k) get the same class, corrected for chance: up to 1.

    In the spirit of soft neighbourhood density (Saito et al. 2021, https://arxiv.org/abs/2108.10860), but in the features that
    the phase began with, which adapting cannot pull together.
    """
    together = np.einsum("nc,nkc->nk", probabilities, probabilities[neighbours]).mean()
    chance = np.square(probabilities.mean(axis=0)).sum()
    return float((together - chance) / max(1.0 - chance, 1e-6))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Along the last axis, in nats."""
    return -np.sum(probabilities * np.log(np.clip(probabilities, 1e-12, 1.0)), axis=-1)


def nearest(features: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Row numbers (n, count) of each row's nearest others by the cosine of standardised features (n, size)."""
    x = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    x /= np.linalg.norm(x, axis=1, keepdims=True) + 1e-6
    count = min(count, len(x) - 1)
    found = []
    for start in range(0, len(x), 1024):
        likeness = x[start : start + 1024] @ x.T
        likeness[np.arange(len(likeness)), start + np.arange(len(likeness))] = -np.inf
        found.append(np.argpartition(-likeness, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


class Watch:
    """Looks at the target through a model as it stands.

    Args:
        predict: () -> probabilities (n, classes).
        neighbours: (n, k) row numbers of pictures that looked alike before anything was adapted.
    """

    def __init__(self, predict: Callable[[], np.ndarray], neighbours: np.ndarray):
        self._predict, self._neighbours = predict, neighbours

    def look(self) -> Look:
        p = self._predict()
        terms = {"information": information(p), "agreement": agreement(p, self._neighbours), "nuclear": nuclear(p)}
        said = np.argmax(p, axis=1).astype(np.int16)
        return Look({"score": (terms["information"] + terms["agreement"]) / 2, **terms}, said)


def collapsed(said: np.ndarray) -> bool:
    """Whether nearly every answer is the same class."""
    return bool(np.bincount(said).max() >= COLLAPSED * len(said))


def adaptation(history: Sequence[Epoch], stream: Stream | None) -> dict[str, Any] | None:
    """What adapting did to the target, for metrics.json; None where no phase looked at it.

    `source_only` and `adapted` are the scores before the first such phase and of the weights that were kept; accuracies come in
    where the target's labels are known, and `oracle` is the best epoch that they would have chosen: nothing chose by them.
    """
    looked = [epoch for epoch in history if epoch.said is not None]
    if not looked or stream is None:
        return None

    def told(epoch: Epoch) -> dict[str, Any]:
        known = {} if stream.labels is None else {"accuracy": float(np.mean(epoch.said == stream.labels))}
        return {"phase": epoch.phase, "epoch": epoch.epoch, "score": epoch.target["score"], **known}

    lines = [told(epoch) for epoch in looked]
    kept = max(lines, key=lambda line: line["score"])
    result = {"helped": kept["score"] > lines[0]["score"], "source_only": lines[0], "adapted": kept}
    return result if stream.labels is None else {**result, "oracle": max(lines, key=lambda line: line["accuracy"])}
