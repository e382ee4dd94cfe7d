"""Charts as PNG, by matplotlib (the extra plots)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlapp.errors import UserError

NEEDS = "needs the package matplotlib: pip install 'tlapp[plots]'"


def check(path: str | None, option: str) -> None:
    """Refuse a chart that could not be written, before what it shows is computed.

    Raises:
        UserError: the file exists or is no .png, or matplotlib is not installed.
    """
    if path is None:
        return
    if not path.lower().endswith(".png"):
        raise UserError("expected a name that ends in .png", path, option=option)
    if Path(path).exists():
        raise UserError("already exists; remove it, or name another", path, option=option)
    _chart(option)


def rates(path: str, found: Mapping[str, Any]) -> None:
    """The loss by the learning rate, and the one that was found."""
    figure, axes = _chart("output")
    axes.semilogx(found["rates"], found["losses"])
    axes.axvline(found["learning_rate"], color="tab:orange", label=f"{found['learning_rate']:g}")
    axes.set(xlabel="learning rate", ylabel="loss, smoothed", title=f"phase {found['phase']}")
    axes.legend()
    figure.savefig(path, dpi=120)


def pareto(path: str, rows: Mapping[str, Mapping[str, Any]], cost: str, words: str) -> None:
    """Accuracy, with its interval, by a cost; a line joins those that none other beats in both."""
    figure, axes = _chart("plot")
    from matplotlib.ticker import LogLocator, NullFormatter

    for name, row in rows.items():
        low, high = row["accuracy_interval"]
        ends = [[max(row["accuracy"] - low, 0)], [max(high - row["accuracy"], 0)]]
        axes.errorbar(row[cost], row["accuracy"], yerr=ends, fmt="o", capsize=2, alpha=0.8, label=name)
    best = front([(row[cost], row["accuracy"]) for row in rows.values()])
    best.append((max(row[cost] for row in rows.values()), best[-1][1]))
    axes.step(*zip(*best, strict=True), where="post", color="gray", linewidth=1, label="best at its cost")
    axes.set(xlabel=words, ylabel="accuracy on test (95 %)", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=120)


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of (cost, accuracy) that no other has at less cost and higher accuracy, cheapest first."""
    kept: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((cost, accuracy))
    return kept


def _chart(option: str) -> Any:
    """A figure and its axes.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(NEEDS, option=option) from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    return figure, figure.add_subplot()
