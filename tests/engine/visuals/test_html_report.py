"""The report of a run: its content and order, names that stay names, bounds, and what an older or other run lacks."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine.visuals.conftest import IMAGE, SCRIPT

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import RunFolder
from tlapp.engine.visuals import at_the_end, thumbnails
from tlapp.errors import UserError

ORDER = ("result", "curves", "mistakes", "examples", "classes", "reliability", "network", "data", "exports", "settings")


class Page(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(path):
    return Page(Path(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The report as the verb for Python writes it, with heat maps."""
    return page_of(tlapp.report(finished, tmp_path_factory.mktemp("page") / "report.html"))


def test_the_sections_stand_in_order_and_say_what_the_run_says(page, finished):
    assert [attrs["id"] for attrs in page.all("section") if attrs["id"] in ORDER] == list(ORDER)
    metrics = RunFolder(finished).metrics()
    low, high = metrics["test"]["accuracy_interval"]
    assert (
        f"test accuracy {metrics['test']['accuracy']:.1%} {low:.0%} to {high:.0%}, {metrics['test']['n']} pictures" in page.text
    )
    assert metrics["verdict"].partition(":")[0].lower().replace("option plugin=", "--plugin ") in page.text.lower()
    for label, each in metrics["test"]["classes"].items():
        low, high = each["recall_interval"]
        assert f"{label} {each['n']} {each['recall']:.1%} {low:.1%} to {high:.1%}" in page.text
    assert f"tlapp train --config {finished}/settings.yaml" in page.text
    assert "stem frozen middle frozen cut 8x8x16 top live linear head" in page.text
    assert len([attrs for attrs in page.all("svg") if attrs["aria-label"].startswith("tune: ")]) == 2


def test_a_cell_leads_to_its_pictures(page, finished):
    metrics = RunFolder(finished).metrics()
    ids = {attrs["id"] for attrs in page.all("section")}
    links = [attrs["href"][1:] for attrs in page.all("a") if attrs["href"].startswith("#cell-")]
    assert links and set(links) <= ids and len(links) == len(set(links))
    counts = [
        int(words) for words in re.findall(r"(\d+) of \S+ answered", " ".join(a.get("aria-label") or "" for a in page.all("a")))
    ]
    assert sum(counts) == metrics["test"]["n"]


def test_mistakes_come_with_heat_maps(page):
    assert len([attrs for attrs in page.all("img") if "what speaks for" in attrs["alt"]]) >= 12


def test_names_stay_names(page):
    assert page.all("script") == [] and not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert SCRIPT in page.text and IMAGE in page.text
    assert all(attrs["src"].startswith("data:image/jpeg;base64,") for attrs in page.all("img"))


def test_the_page_needs_no_other_file(page, finished):
    places = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "action", "data") if key in attrs]
    assert places and all(place.startswith(("#", "data:")) for place in places)
    assert not page.all("link") and "url(" not in (finished / "report.html").read_text() and "@import" not in page.text


def test_without_images_there_are_neither_pictures_nor_their_names(finished, tmp_path):
    text = tlapp.report(finished, tmp_path / "r.html", images=False).read_text()
    names = [Path(row["path"]).stem for row in RunFolder(finished).splits()]
    page = Page(text)
    assert "data:image" not in text and page.all("img") == [] and len(names) == 42
    assert not [name for name in names if name in page.text] and SCRIPT in page.text


def test_pictures_are_bounded(finished, tmp_path, monkeypatch, page):
    assert thumbnails.BUDGET <= 4_500_000
    whole = sum(len(attrs["src"]) for attrs in page.all("img"))
    monkeypatch.setattr(thumbnails, "BUDGET", 9_000)
    small = page_of(tlapp.report(finished, tmp_path / "r.html"))
    assert whole > 20_000 and sum(len(each) for each in {attrs["src"] for attrs in small.all("img")}) <= 9_000
    assert "Some pictures are left out, so that the page stays small." in small.text


def test_pictures_that_are_gone_are_counted(finished, tmp_path):
    run, gone = shutil.copytree(finished, tmp_path / "run"), 0
    for path in (run / "predictions.csv", run / "data.csv"):
        text = path.read_text()
        gone = text.count("/square/")
        path.write_text(text.replace("/square/", "/nowhere/"))
    page = page_of(tlapp.report(run))
    assert gone and re.search(r"Not found or not readable any more: \d+ pictures?\.", page.text)
    assert page.all("img")


def test_a_run_without_test_pictures_says_so(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    metrics = RunFolder(run).metrics()
    (run / "metrics.json").write_text(json.dumps({**metrics, "test": None}))
    (run / "predictions.csv").write_text(
        "\n".join(line for line in (run / "predictions.csv").read_text().splitlines() if ",test," not in line)
    )
    page = page_of(tlapp.report(run))
    assert "This run had no test pictures: what follows is measured on val, which chose among the epochs" in page.text
    assert "Confusion matrix, val" in page.text


def test_what_is_not_finished_is_refused(finished, tmp_path, capfd):
    shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("metrics.json", "report.html"))
    assert command(["report", str(tmp_path / "run")]) == 2
    assert "this run did not finish (it has no metrics.json), so that it has no result yet" in capfd.readouterr().err
    assert not (tmp_path / "run" / "report.html").exists()
    with pytest.raises(UserError, match="is not a run"):
        tlapp.report(tmp_path)
    with pytest.raises(UserError, match=r"cannot be written: No such file or directory"):
        tlapp.report(finished, tmp_path / "nowhere" / "r.html")


def test_the_command(finished, tmp_path, capfd):
    assert command(["report", str(finished), "--output", str(tmp_path / "r.html"), "--no-images", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"report": str(tmp_path / "r.html")}
    assert "data:image" not in (tmp_path / "r.html").read_text()


def test_a_run_of_an_earlier_version(tensorflow, tmp_path):
    page = page_of(tlapp.report(Path(__file__).parents[2] / "data" / "run-0.1.0" / "run", tmp_path / "r.html"))
    assert "This run keeps no answers: it is of an earlier version" in page.text and "test accuracy" in page.text


def test_what_other_work_adds_is_shown(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    source, adapted = ({"phase": name, "epoch": 1, "score": score} for name, score in (("a", 0.25), ("b", 0.5)))
    more = {
        "calibration": {"temperature": 1.25, "ece_before": 0.125, "ece_after": 0.0625},
        "unknown": {"coverage": 0.9375},
        "adaptation": {"helped": True, "source_only": source, "adapted": adapted},
        "race": {"tried": {"freeze": {"val_loss": 0.5}}, "kept": "freeze"},
    }
    (run / "metrics.json").write_text(json.dumps({**RunFolder(run).metrics(), **more}))
    (run / "export" / "phone").mkdir(parents=True)
    kept = Path(__file__).parents[2] / "data" / "run-0.1.0" / "exported" / "export.json"
    shutil.copy(kept, run / "export" / "phone")
    text = page_of(tlapp.report(run)).text
    for words in (
        "temperature 1.25", "calibration error before 0.125", "calibration error after 0.0625", "coverage 0.9375",
        "Adapting helped: score 0.500 after b, 0.250 before", "freeze 0.5000", "phone tflite, none passed 100.0%",
    ):  # fmt: skip
        assert words in text, words


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def ended(trained, folder, report="on"):
    """The run as it ends, in a copy of its folder; and what it notes."""
    shutil.copytree(trained.record.folder, folder, ignore=shutil.ignore_patterns("report.html"))
    options = trained.job.options.model_copy(update={"report": report})
    return SimpleNamespace(
        job=SimpleNamespace(options=options), dataset=trained.dataset, model=trained.model, reporter=Notes(),
        record=SimpleNamespace(folder=folder),
    )  # fmt: skip


def test_training_writes_it_unless_told_not_to(trained, finished, tmp_path):
    page = page_of(finished / "report.html")
    assert at_the_end.TOO_SHORT in page.text and page.all("img") and IMAGE in page.text
    at_the_end.report_run(ended(trained, tmp_path / "off", "off"), 100)
    assert not (tmp_path / "off" / "report.html").exists()


def test_a_long_run_has_heat_maps_at_once(trained, page, tmp_path):
    at_the_end.report_run(ended(trained, tmp_path / "run"), 100)
    later = page_of(tmp_path / "run" / "report.html")
    assert at_the_end.TOO_SHORT not in later.text
    assert [attrs["alt"] for attrs in later.all("img")] == [attrs["alt"] for attrs in page.all("img")]


def test_ctrl_c_in_the_report_leaves_a_finished_run(shapes, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    backbone = Path(__file__).parents[2] / "data" / "run-0.1.0" / "backbone.keras"
    settings = {"plugin": "freeze", "data": str(shapes), "backbone": f"file:{backbone}", "image_size": 32, "epochs": 1}
    assert (tlapp.train(**settings, run=str(tmp_path / "whole")).folder / "report.html").is_file()
    monkeypatch.setattr(at_the_end, "write_report", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        tlapp.train(**settings, run=str(tmp_path / "run"))
    assert type(error.value) is KeyboardInterrupt  # and not one that says how to resume
    assert tlapp.load(tmp_path / "run").is_finished and not (tmp_path / "run" / "checkpoints").exists()


def test_a_fault_of_the_report_is_a_note(trained, tmp_path, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(at_the_end, "write_report", broken)
    run = ended(trained, tmp_path / "run")
    at_the_end.report_run(run, 1)
    assert run.reporter.notes == ["the run is finished, but its report could not be written: ZeroDivisionError: a bug"]
