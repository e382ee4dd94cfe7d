"""How sure a measured number is: 95 % intervals of shares, of differences of shares, and of what is drawn again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Z = 1.959964
DRAWS = 1000
CELLS = 50_000_000
"""Numbers that are drawn at most, so that large sets with many classes do not take minutes; they get fewer draws."""


def share(right: float, n: float) -> list[float]:
    """Of a share `right` / `n`: Wilson's score interval (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    if n <= 0:
        return [0.0, 1.0]
    center, half = right + Z**2 / 2, Z * (right * (n - right) / n + Z**2 / 4) ** 0.5
    low, high = (float((center + sign * half) / (n + Z**2)) for sign in (-1, 1))
    return [max(0.0, low) if right > 0 else 0.0, min(1.0, high) if right < n else 1.0]  # exact, where rounding would not be


def difference(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Of the difference of two shares of the same examples, (n,) bool each: whether each is right.

    Wald's interval with half an example more in each of the four cells (Agresti and Min 2005, https://doi.org/10.1002/sim.1781).
    """
    n = len(ours) + 2.0
    better, worse = float((ours & ~theirs).sum()) + 0.5, float((~ours & theirs).sum()) + 0.5
    center = (better - worse) / n
    half = Z * max(better + worse - (better - worse) ** 2 / n, 0.0) ** 0.5 / n
    return [max(-1.0, center - half), min(1.0, center + half)]


def drawn(n: int, statistic: Callable[[np.ndarray], np.ndarray], width: int = 1) -> list[float]:
    """Of a statistic of n examples: the percentile bootstrap (Efron 1979), the same draws each time.

    Args:
        statistic: how often each example counts, (draws, n) float32 -> (draws,).
        width: numbers that it makes for each draw and example.
    """
    draws = int(np.clip(CELLS // max(n * width, 1), 100, DRAWS))
    rng, values = np.random.default_rng(0), []
    for start in range(0, draws, 100):
        counts = rng.multinomial(n, np.full(n, 1 / n), min(100, draws - start))
        values.append(statistic(counts.astype(np.float32)))
    low, high = np.percentile(np.concatenate(values), [2.5, 97.5])
    return [float(low), float(high)]
