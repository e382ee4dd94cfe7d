"""What a report shows of runs of every kind, from facts of which the result is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine.visuals.test_html_report import Page

from tlapp.engine.data.classes import Many
from tlapp.engine.data.metrics import metrics, number_metrics
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.visuals import charts, sections
from tlapp.engine.visuals.data_sheet import data_sheet
from tlapp.engine.visuals.html_report import report_page
from tlapp.engine.visuals.run_facts import Answer, RunFacts
from tlapp.engine.visuals.thumbnails import Gallery

PICTURES = Gallery(Images(32), lambda sources: ())
SENTENCES = Gallery(Texts(("[PAD]",), max_length=16), lambda sources: ())


def facts(answers, labels=("a", "b"), kind="one", test=None, noun="picture", **more):
    rows = [{"path": each.source, "label": each.label, "split": each.split} for each in answers]
    measured = test or {"n": len(answers)}
    found = {
        "settings": {"plugin": "p", "backbone": "b"}, "plan": {"labelling": kind, "noun": noun}, "metrics": {"test": measured},
        "labels": labels, "answers": answers, "history": (), "data": rows, "problems": {}, "exports": {}, "probabilities": {},
    }  # fmt: skip
    return RunFacts(Path("runs/it"), **{**found, **more})


def answer(label, said, sure=0.9, source="x.png"):
    return Answer(source, "test", label, said, sure, 1 - sure)


def of_classes(count, each=4, seed=0):
    """A run with so many classes, a quarter of whose answers are wrong."""
    rng, names = np.random.default_rng(seed), [f"class {number}" for number in range(count)]
    true = np.repeat(np.arange(count), each)
    said = np.where(rng.random(len(true)) < 0.25, rng.integers(0, count, len(true)), true)
    answers = [answer(names[t], names[s], source=f"{i}.png") for i, (t, s) in enumerate(zip(true, said, strict=True))]
    return facts(answers, names, test=metrics(np.eye(count)[said], true, names))


def test_the_matrix_counts_what_was_answered():
    answers = [answer("a", "a")] * 20 + [answer("a", "b")] * 5 + [answer("b", "b")] * 3
    found = sections.matrix(facts(answers))
    rows = {label: {cell.answer: (cell.n, cell.share, len(cell.shown)) for cell in cells if cell} for label, cells in found.rows}
    assert rows == {"a": {"a": (20, 0.8, 6), "b": (5, 0.2, 5)}, "b": {"b": (3, 1.0, 3)}}


def test_500_classes_are_a_list_of_pairs_and_a_small_page():
    run = of_classes(500)
    text = report_page(run, PICTURES)
    page, found = Page(text), sections.matrix(run)
    assert found.rows == () and len(found.cells) == sections.MOST_PAIRS
    assert [cell.n for cell in found.cells] == sorted((cell.n for cell in found.cells), reverse=True)
    assert not any(cell.right for cell in found.cells) and "With 500 classes" in page.text and len(text) < 500_000


def test_two_classes_and_no_mistake():
    run = facts([answer("a", "a"), answer("b", "b")], test=metrics(np.eye(2), np.array([0, 1]), ("a", "b")))
    assert "None: every answer is right." in Page(report_page(run, PICTURES)).text


def test_each_of_several_labels_is_counted():
    answers = [answer("a;b", "a"), answer("a", "a;b"), answer("", "b"), answer("b", "b")]
    probabilities = np.array([[0.9, 0.1], [0.9, 0.8], [0.1, 0.7], [0.2, 0.9]])
    true = np.array([[1, 1], [1, 0], [0, 0], [0, 1]], bool)
    measured = Many().metrics(probabilities, true, ("a", "b"))
    run = facts(answers, kind="many", test=measured, probabilities={"test": probabilities, "test_labels": true})
    rows = {row.label: (row.hits, row.missed.n, row.false.n) for row in sections.label_rows(run)}
    assert rows == {"a": (2, 0, 0), "b": (1, 1, 2)}
    found = sections.reliability(run)
    assert found.n == 8
    page = Page(report_page(run, PICTURES))
    assert "b 1 1 2 a 2 0 0" in page.text and "b: 2 said in vain" in page.text and "no label , answered b" in page.text


def test_numbers_are_a_cloud():
    answers = [Answer(f"{i}.png", "test", str(float(i)), str(i + 0.5), None, None) for i in range(9)]
    numbers = np.arange(9.0)
    run = facts(answers, ("value",), "number", number_metrics(numbers + 0.5, numbers))
    text = report_page(run, PICTURES)
    page = Page(text)
    assert "test R2" in page.text and "The largest errors" in page.text and "least sure" not in page.text
    assert text.count('<circle class="dot s0"') == 9 and "There are no probabilities" in page.text
    assert sections.matrix(run) is None and data_sheet(run).rows == []


def test_sentences_stand_where_pictures_would_and_are_shortened():
    words = ["a\nb <b>bold</b>", "long " * 100]
    answers = [answer("a", "b", source=word) for word in words]
    run = facts(answers, noun="text", test=metrics(np.eye(2)[[1, 1]], np.array([0, 0]), ("a", "b")))
    page = Page(report_page(run, SENTENCES))
    assert "a b <b>bold</b>" in page.text and "…" in page.text and max(map(len, page.words)) < 20_000
    assert "long " * 60 not in page.text and page.all("img") == []
    private = Page(report_page(run, SENTENCES, images=False))
    assert "bold" not in private.text and "made without texts and their names" in private.text


def test_reliability_is_the_mean_gap_between_sure_and_right():
    sure = [answer("a", "a", 0.95)] * 6 + [answer("a", "b", 0.95)] * 4 + [answer("a", "a", 0.55)] * 10
    found = sections.reliability(facts(sure))
    assert found.error == pytest.approx((10 * abs(0.95 - 0.6) + 10 * abs(0.55 - 1.0)) / 20)
    even = [answer("a", "a", 0.75)] * 3 + [answer("a", "b", 0.75)]
    assert sections.reliability(facts(even)).error == pytest.approx(0)


def test_the_cut_stands_before_the_first_stage_that_trains():
    phase = {"name": "p", "stages": {"c": 0.1}, "cut": [[7, 7, 3]], "front": "cached", "trains": 5}
    plan = {"stage_names": ["a", "b", "c"], "head": "h", "phases": [phase]}
    ((_, boxes),) = sections.drawings(facts([], plan=plan))
    assert [box.name for box in boxes] == ["a", "b", "cut", "c", "h"]
    assert [box.kind for box in boxes] == ["frozen", "frozen", "cut", "live", "head"] and boxes[3].note == "rate x0.1"
    everything = {**phase, "stages": {"a": 1, "b": 1, "c": 1}, "cut": [], "front": "none"}
    ((_, boxes),) = sections.drawings(facts([], plan={**plan, "phases": [everything]}))
    assert [box.kind for box in boxes] == ["live", "live", "live", "head"]


def test_the_data_sheet_counts_copies_and_what_was_left_out():
    rows = [
        {"path": "1.png", "label": "a", "split": "train", "copies": "1", "width": "10", "height": "20"},
        {"path": "2.png", "label": "a", "split": "test", "copies": "0", "width": "30", "height": "20"},
        {"path": "3.jpg", "label": "b", "split": "", "copies": "", "width": "", "height": ""},
    ]
    sheet = data_sheet(facts([], data=rows))
    assert (sheet.splits, sheet.rows, sheet.totals) == (["train", "test"], [("a", [1, 1])], [1, 1])
    assert (sheet.copies, sheet.left_out, sheet.kinds) == (1, 1, [(".png", 2)])
    assert sheet.sizes == "20 x 20 pixels in the middle; 10 to 30 wide, 20 to 20 high"


@pytest.mark.parametrize(
    ("low", "high", "whole", "ticks"),
    [
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (1, 2, True, [1, 2]), (1, 1, True, [1]),
        (1, 100, True, [20, 40, 60, 80, 100]),
        (0.89, 0.95, False, [0.89, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95]), (0.0, 0.0, False, [0.0]),
    ],
)  # fmt: skip
def test_ticks_are_round(low, high, whole, ticks):
    assert charts._ticks(low, high, whole) == pytest.approx(ticks)


def test_large_numbers_are_short():
    assert [charts._short(value) for value in (0, 0.25, 2500, 25000, 1e6, 2.5e9)] == ["0", "0.25", "2500", "25k", "1M", "2.5G"]


def test_a_chart_leaves_out_what_is_no_number_and_escapes_names():
    nan = float("nan")
    assert charts.line_chart("t", [charts.Series("a", [(1, nan)])], "x", "y") == ""
    chart = charts.line_chart("<t>", [charts.Series("<a>", [(1, 2.0), (2, nan), (3, 5.0)])], "x", "<y>")
    assert chart.count("<circle") == 2 and "&lt;t&gt;" in chart and "&lt;a&gt;" in chart and "&lt;y&gt;" in chart
    assert "nan" not in chart
