"""What the sections of a run's report show, computed from the run's facts: matrix, classes, reliability, data, phases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tlapp.engine.data.intervals import share
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.visuals.charts import Series, cloud_chart, line_chart, reliability_chart
from tlapp.engine.visuals.run_facts import Answer, RunFacts

WORST, LEAST_SURE = 12, 12
"""Examples that are shown with a heat map each."""
IN_CELL, RIGHT_IN_CELL = 12, 6
"""Examples that a cell of the matrix shows, of mistakes and of right answers."""
MOST_CLASSES = 25
"""Of a matrix; of more classes those pairs are listed that are confused most."""
MOST_PAIRS = 40
BINS = 15
"""Of the reliability diagram (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
MOST_PHASES = 12


class Cell(NamedTuple):
    """A cell of the matrix: what is true, what was answered, how many (n), their share of the row, and some of them."""

    key: str
    label: str
    answer: str
    n: int
    share: float
    right: bool
    shown: Sequence[Answer]


class Matrix(NamedTuple):
    """Rows (class, its cells, None for an empty one), or, of many classes, the pairs that are confused most."""

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    cells: Sequence[Cell]


def matrix(facts: RunFacts) -> Matrix | None:
    """The confusion matrix of the split that the run is judged by; None where labels are not one class each."""
    if facts.kind != "one" or not facts.judging:
        return None
    groups: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in facts.judging:
        groups[answer.label, answer.answer].append(answer)
    totals = Counter(answer.label for answer in facts.judging)
    cells = {
        pair: _cell(number, pair, found, len(found) / totals[pair[0]]) for number, (pair, found) in enumerate(groups.items())
    }
    if len(facts.labels) > MOST_CLASSES:
        wrong = sorted((cell for cell in cells.values() if not cell.right), key=lambda cell: (-cell.n, -cell.share))
        return Matrix((), (), wrong[:MOST_PAIRS])
    rows = [(label, [cells.get((label, other)) for other in facts.labels]) for label in facts.labels]
    return Matrix(facts.labels, rows, list(cells.values()))


def _cell(number: int, pair: tuple[str, str], found: Sequence[Answer], part: float) -> Cell:
    right = pair[0] == pair[1]
    return Cell(f"cell-{number}", *pair, len(found), part, right, found[: RIGHT_IN_CELL if right else IN_CELL])


class LabelRow(NamedTuple):
    """Of a label of several: how often it is there and said, said in vain, and missed, with some of the last two."""

    label: str
    hits: int
    false: Cell
    missed: Cell


def label_rows(facts: RunFacts) -> list[LabelRow]:
    """What becomes of each label where an example can have several, those with the most mistakes first; else nothing."""
    if facts.kind != "many":
        return []
    true = [(set(facts.names_of(each.label)), set(facts.names_of(each.answer)), each) for each in facts.judging]
    rows = []
    for number, label in enumerate(facts.labels):
        false = [each for there, said, each in true if label in said - there]
        missed = [each for there, said, each in true if label in there - said]
        hits = sum(label in there & said for there, said, _ in true)
        cells = [
            Cell(f"{kind}-{number}", label, kind, len(found), 0.0, False, found[:IN_CELL])
            for kind, found in (("false", false), ("missed", missed))
        ]
        rows.append(LabelRow(label, hits, *cells))
    return sorted(rows, key=lambda row: -(row.false.n + row.missed.n))


def worst(facts: RunFacts) -> list[Answer]:
    """The surest mistakes, or the largest errors."""
    return [answer for answer in facts.judging if not answer.right][:WORST]


def least_sure(facts: RunFacts) -> list[Answer]:
    """The answers that were the least sure; none where they are numbers."""
    known = [answer for answer in facts.judging if answer.probability is not None]
    return sorted(known, key=lambda answer: answer.probability or 0.0)[:LEAST_SURE]


class Reliability(NamedTuple):
    """The diagram, and by how much sureness and being right differ in the mean."""

    chart: str
    error: float
    n: int


def reliability(facts: RunFacts) -> Reliability | None:
    """How far probabilities can be believed: of the answers, or of each label of several; None where there are none."""
    sure, right = _sureness(facts)
    if not len(sure):
        return None
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for number in np.unique(place):
        inside = place == number
        count, hits = int(inside.sum()), int(right[inside].sum())
        low, high = share(hits, count)
        bins.append((float(sure[inside].mean()), hits / count, low, high, count))
        error += count / len(sure) * abs(bins[-1][0] - bins[-1][1])
    title = f"reliability: how often answers are right, by their probability, in {len(bins)} bins"
    return Reliability(reliability_chart(title, bins), error, len(sure))


def _sureness(facts: RunFacts) -> tuple[np.ndarray, np.ndarray]:
    """How sure each answer was, and whether it was right."""
    if facts.kind == "many" and facts.judged in facts.probabilities:
        found, true = facts.probabilities[facts.judged], facts.probabilities[f"{facts.judged}_labels"]
        hot = LABELLINGS["many"].hot(true, len(facts.labels))
        return found.reshape(-1), np.asarray(hot, bool).reshape(-1)
    known = [answer for answer in facts.judging if answer.probability is not None and facts.kind == "one"]
    return np.array([answer.probability for answer in known], float), np.array([answer.right for answer in known], bool)


def cloud(facts: RunFacts) -> str:
    """Answers that are numbers by what is true; "" of others."""
    if facts.kind != "number":
        return ""
    points = [(float(answer.label), float(answer.answer)) for answer in facts.judging]
    return cloud_chart("answers by what is true", points, "true", "answered")


class Curves(NamedTuple):
    """The charts of a phase."""

    phase: str
    epochs: int
    charts: Sequence[str]


def curves(facts: RunFacts) -> list[Curves]:
    """What was measured after each epoch, a phase at a time; phases without epochs have none."""
    found: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in facts.history:
        found[row["phase"]][row["split"], row["name"]].append((row["epoch"], row["value"]))
    every = [_curves(phase, lines) for phase, lines in found.items()]
    return [each for each in every if each.charts]


def _curves(phase: str, lines: Mapping[tuple[str, str], Sequence[tuple[float, float]]]) -> Curves:
    losses = [Series(split, points) for (split, name), points in lines.items() if name == "loss"]
    others: dict[str, list[Series]] = defaultdict(list)
    for (split, name), points in lines.items():
        if name != "loss" and (split != "train"):
            others[name].append(Series(split, points))
    charts = [line_chart(f"{phase}: loss after each epoch", losses, "epoch", "loss")]
    charts += [line_chart(f"{phase}: {name} after each epoch", series, "epoch", name) for name, series in others.items()]
    epochs = max((int(x) for points in lines.values() for x, _ in points), default=0)
    return Curves(phase, epochs, [chart for chart in charts if chart])


class StageBox(NamedTuple):
    """A stage in the drawing: "frozen", "live", "cut" or "head"."""

    name: str
    kind: str
    note: str = ""


def drawings(facts: RunFacts) -> list[tuple[Mapping[str, Any], list[StageBox]]]:
    """Each phase of the plan, with its stages from the input to the head, and the cut where there is one.

    Plans of earlier versions did not say all of it.
    """
    older: dict[str, Any] = {"does": "", "one_of": None, "stages": {}, "cut": (), "front": "none", "trains": 0}
    phases = ({**older, **phase} for phase in facts.plan.get("phases", ()))
    return [(phase, list(_boxes(facts, phase))) for phase in phases]


def _boxes(facts: RunFacts, phase: Mapping[str, Any]) -> Iterator[StageBox]:
    live: Mapping[str, float] = phase["stages"]
    names = facts.plan.get("stage_names") or list(live)
    grafted = phase["trains"] > 0 and not live
    shapes = " and ".join("x".join(map(str, shape)) for shape in phase["cut"])
    waiting = phase["front"] != "none" and not grafted
    for name in names:
        if waiting and name in live:
            yield StageBox("cut", "cut", shapes)
            waiting = False
        rate = live.get(name)
        yield StageBox(name, "frozen" if rate is None else "live", "" if rate in (None, 1) else f"rate x{rate:.3g}")
    if waiting:
        yield StageBox("cut", "cut", shapes)
    yield StageBox(str(facts.plan.get("head", "head")), "head")
