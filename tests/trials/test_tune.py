"""tune searches the ranges that options declare, begins with the defaults, is chosen by val alone, and goes on where it was."""

from __future__ import annotations

import json
from typing import Literal

import pytest
import yaml
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.cli.main import run as command
from tlapp.contracts import Field, Options
from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import HISTORY, RunFolder
from tlapp.errors import UserError
from tlapp.settings import resolve
from tlapp.trials import trial
from tlapp.trials.ranges import Range, declared, ranges
from tlapp.trials.tune import STUDY, Search, so_far, value


class Some(Options):
    """Options of many kinds."""

    kind: Literal["a", "b"] = "a"
    way: bool = False
    rate: float = Field(1e-3, gt=0, le=10)
    fast: float = Field(1.0, gt=0, le=10)
    share: float = Field(0.1, ge=0, lt=1)
    count: int = Field(2, gt=0, le=8)
    endless: int = Field(2, ge=1)
    unset: float | None = Field(None, gt=0)


DECLARED = {
    "kind": Range(("a", "b")), "way": Range((False, True)), "rate": Range(low=1e-5, high=0.1, log=True),
    "fast": Range(low=0.01, high=10, log=True), "share": Range(low=0, high=0.999), "count": Range(low=1, high=8, whole=True),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("tune"), each=20)


def asked(place, output, *more):
    settings = [word for key, each in of(place).items() if key != "data" for word in ("--set", f"{key}={each}")]
    words = ["tune", "--data", str(place / "data"), "--plugin", "freeze", "--set", "epochs=3", *settings]
    return [*words, "--over", "learning_rate", "--over", "head_dropout=0..0.5", "--output", str(output), *more]


@pytest.fixture(scope="module")
def output(place):
    assert command(asked(place, place / "out", "--trials", "2")) == 0
    return place / "out"


@pytest.mark.parametrize("key", DECLARED)
def test_ranges_that_options_declare(key):
    found = declared(key, Some.model_fields[key])
    assert found._replace(low=round(found.low, 9), high=round(found.high, 9)) == DECLARED[key]
    assert found.distribution() is not None


@pytest.mark.parametrize("key", ["endless", "unset"])
def test_an_option_without_a_range_is_refused(key):
    with pytest.raises(UserError, match=f"has no range to search; give it one: {key}=LOW..HIGH"):
        declared(key, Some.model_fields[key])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("last=1..3", Range(low=1, high=3, whole=True)),
        ("learning-rate=1e-5..1e-2", Range(low=1e-5, high=1e-2, log=True)),
        ("learning_rate=0.01..0.02", Range(low=0.01, high=0.02)),
        ("head=linear|cosine", Range(("linear", "cosine"))),
        ("head_dropout=0..0.5", Range(low=0, high=0.5)),
    ],
)
def test_ranges_that_are_given(word, expected):
    assert [*ranges([word], resolve({"plugin": "partial"})).values()] == [expected]


@pytest.mark.parametrize("word", ["last=3..1", "last=1..2.5", "last=a..b", "augment=1..2", "learning_rate=1..1"])
def test_ranges_that_are_none(word):
    with pytest.raises(UserError, match=r"expected .*=LOW\.\.HIGH with two numbers"):
        ranges([word], resolve({"plugin": "partial"}))


@pytest.mark.slow
def test_the_best_on_val_is_reported_beside_the_defaults(place, output, capfd):
    assert command(asked(place, output, "--trials", "2", "--json")) == 0
    report = json.loads(capfd.readouterr().out)
    runs = [tlapp.load(output / f"trial-{number}") for number in range(2)]
    losses = [value(run.files) for run in runs]
    best = runs[losses.index(min(losses))]
    assert runs[0].settings["learning_rate"] == 1e-3 and runs[0].settings["head_dropout"] == 0
    assert report["value"] == min(losses) and report["run"] == str(best.folder)
    assert report["trials"] == {"complete": 2, "pruned": 0, "fail": 0}
    assert report["row"]["accuracy"] == best.metrics["test"]["accuracy"]
    tuned = yaml.safe_load((output / "tuned.yaml").read_text())
    assert {key: tuned[key] for key in report["best"]} == report["best"]
    assert all(1e-5 <= run.settings["learning_rate"] <= 0.1 and run.settings["head_dropout"] <= 0.5 for run in runs)


@pytest.mark.slow
@pytest.mark.slow
def test_it_goes_on_and_refuses_another_search(place, output, capfd, monkeypatch):
    before = (output / "trial-0" / HISTORY).stat().st_mtime_ns
    assert command(asked(place, output, "--trials", "4")) == 0
    assert (output / "trial-0" / HISTORY).stat().st_mtime_ns == before and RunFolder(output / "trial-3").metrics()
    assert command(asked(place, output, "--over", "label_smoothing")) == 2
    assert "holds a search with other settings" in capfd.readouterr().err


class Known(trial.Workers):
    """Trials whose losses are known: each is as good as its label smoothing is low, and ends after six looks."""

    def __init__(self, count=1):
        self.count, self.looks, self.stopped, self.started = count, {}, [], []

    def start(self, trial):
        self.looks[trial] = 0
        self.started.append(trial.place.name)
        trial.place.mkdir(parents=True, exist_ok=True)

    def ended(self):
        for each in [*self.looks]:
            self.looks[each] += 1
            row = f"head,{self.looks[each]},val,loss,{each.settings['label_smoothing']}\n"
            path = each.place / HISTORY
            path.write_text((path.read_text() if path.exists() else "phase,epoch,split,name,value\n") + row)
            if self.looks[each] == 6:
                del self.looks[each]
                yield each, ""

    def stop(self, trial):
        self.stopped.append(trial.place.name)
        del self.looks[trial]

    def close(self):
        self.looks.clear()


@pytest.fixture
def known(monkeypatch):
    from tlapp.trials import tune

    monkeypatch.setattr(tune, "LOOK_SECONDS", 0)
    monkeypatch.setattr(tune, "value", lambda run: so_far(run)[-1])
    monkeypatch.setattr(tune, "measured", lambda run: True)
    monkeypatch.setattr(tune, "row", lambda runs, first: [run.path.name for part in (runs, first) for run in part.values()])


def test_the_search_finds_the_least_and_stops_what_does_worse(known, tmp_path):
    workers = Known()
    search = Search({"data": "x", "plugin": "freeze"}, {"label_smoothing": Range(low=0, high=0.9)}, tmp_path, Silent(), workers)
    report = search.run(25)
    tried = sorted(float(path.read_text().split(",")[-1]) for path in tmp_path.glob("trial-*/history.csv"))
    assert report["value"] == tried[0] < 0.05 and report["trials"]["pruned"] == len(workers.stopped) > 2
    assert report["trials"]["complete"] + report["trials"]["pruned"] == 25
    again = Known()
    other = tmp_path / "other"
    Search({"data": "x", "plugin": "freeze"}, {"label_smoothing": Range(low=0, high=0.9)}, other, Silent(), again).run(25)
    assert again.stopped == workers.stopped


@pytest.mark.parametrize(("low", "beside"), [(0, ["trial-0"]), (0.06, [])])
def test_the_defaults_are_the_first_trial_only_where_they_are_in_range(known, tmp_path, low, beside):
    over = {"label_smoothing": Range(low=low, high=0.9)}
    report = Search({"data": "x", "plugin": "freeze"}, over, tmp_path, Silent(), Known()).run(20)
    assert report["row"] == [report["run"].rpartition("/")[2], *beside] and report["run"] != str(tmp_path / "trial-0")


def test_what_was_under_way_goes_on(known, tmp_path):
    class Breaks(Known):
        def ended(self):
            if len(self.started) == 2:
                raise KeyboardInterrupt
            yield from super().ended()

    over, workers = {"label_smoothing": Range(low=0, high=0.9)}, Known()
    with pytest.raises(KeyboardInterrupt):
        Search({"data": "x", "plugin": "freeze"}, over, tmp_path, Silent(), Breaks()).run(3)
    report = Search({"data": "x", "plugin": "freeze"}, over, tmp_path, Silent(), workers).run(3)
    assert workers.started[0] == "trial-1" and report["trials"]["complete"] + report["trials"]["pruned"] == 3


def test_as_many_at_a_time_as_there_are_workers(known, tmp_path):
    class Counting(Known):
        most = 0

        def ended(self):
            Counting.most = max(Counting.most, len(self.looks))
            yield from super().ended()

    Search({"plugin": "freeze"}, {"label_smoothing": Range(low=0, high=0.9)}, tmp_path, Silent(), Counting(3)).run(7)
    assert Counting.most == 3 and (tmp_path / STUDY).exists()


def test_a_half_written_line_is_not_read(tmp_path):
    (tmp_path / HISTORY).write_text("phase,epoch,split,name,value\nhead,1,val,loss,0.5\nhead,2,val,loss,0.")
    assert so_far(RunFolder(tmp_path)) == [0.5]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--timeout", "soon"], "expected a time such as"),
        (["--over", "epochs"], "has no range to search"),
        (["--over", "epoks"], "did you mean epochs?"),
        (["--set", "plugin"], "expected KEY=VALUE"),
    ],
)
def test_what_cannot_be_searched_is_refused(place, tmp_path, more, words, capfd):
    assert command(asked(place, tmp_path / "out", *more)) == 2
    assert words in capfd.readouterr().err and not (tmp_path / "out").exists()


def test_a_race_is_not_tuned(place, tmp_path, capfd):
    words = ["tune", "--data", str(place / "data"), "--plugin", "auto", "--over", "seed=0|1", "--output", str(tmp_path / "out")]
    assert command(words) == 2
    assert "tune one of them" in capfd.readouterr().err
