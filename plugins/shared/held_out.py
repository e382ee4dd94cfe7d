"""Classes that training on episodes leaves out, to judge by them which weights learn new classes best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlapp_plugins.shared.discriminant import START, covariance
from tlapp_plugins.shared.model_selection import sample
from tlapp_plugins.shared.support import CLASSIFIERS, Classifier, Space

from tlapp.contracts import Episodes

if TYPE_CHECKING:
    import numpy as np

FEWEST = 5
"""So many classes say something of others; fewer are not held out."""
LIMIT = 3000
"""Of so many examples of the other classes the covariance is taken, at most."""


def chosen(classes: int, share: float) -> tuple[int, ...]:
    """The classes to hold out, the same ones each time; none where they would be fewer than `FEWEST`."""
    import numpy as np

    count = int(classes * share)
    return tuple(sorted(np.random.default_rng(0).permutation(classes)[:count].tolist())) if count >= FEWEST else ()


@dataclass(frozen=True)
class Without:
    """Episodes of the classes that are not held out: a sampler."""

    episodes: Episodes
    classes: tuple[int, ...]

    def batches(self, labels: np.ndarray, rng: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
        """As `Episodes.batches`."""
        import numpy as np

        rows = np.flatnonzero(~np.isin(labels, self.classes))
        for drawn in self.episodes.batches(labels[rows], rng, steps):
            yield rows[drawn]


@dataclass(frozen=True)
class HeldOut:
    """The accuracy in episodes of the classes held out, learnt as `tlapp adapt` does: in the space where the others are round.

    Attributes:
        classes: held out.
        episodes: as large as the held-out classes allow; the same ones each time, so that two networks can be compared.
        classifier: by which they are learnt.
    """

    classes: tuple[int, ...]
    episodes: Episodes
    classifier: Classifier = "ridge"

    def rows(self, labels: np.ndarray) -> np.ndarray:
        """All of the held-out classes, and at most `LIMIT` of the others."""
        import numpy as np

        held_out = np.isin(labels, self.classes)
        others = np.flatnonzero(~held_out)
        return np.concatenate([np.flatnonzero(held_out), others[sample(len(others), LIMIT)]])

    def __call__(self, features: np.ndarray, labels: np.ndarray) -> float:
        import numpy as np
        from threadpoolctl import threadpool_limits

        held_out = np.isin(labels, self.classes)
        with threadpool_limits(1):  # as in ScaledSolver
            return self._accuracy(space(features[~held_out], labels[~held_out]).directions(features[held_out]), labels[held_out])

    def _accuracy(self, directions: np.ndarray, labels: np.ndarray) -> float:
        import numpy as np

        way, shot, query, number = self.episodes[:4]
        fit, hot = CLASSIFIERS[self.classifier], np.repeat(np.eye(way), shot, axis=0)
        right = []
        for rows in self.episodes.batches(labels, np.random.default_rng(0), number):
            x = directions[rows].reshape(way, shot + query, -1)
            outputs = x[:, shot:] @ fit(x[:, :shot].reshape(way * shot, -1), hot)
            right.append(float((outputs.argmax(axis=-1) == np.arange(way)[:, None]).mean()))
        return float(np.mean(right))


def space(features: np.ndarray, labels: np.ndarray) -> Space:
    """The space in which classes are round, by their examples."""
    import numpy as np

    rows = np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)
    hot = np.eye(int(labels.max()) + 1)[labels]
    return Space.of(*covariance(rows.T @ rows, rows.T @ hot, START))
