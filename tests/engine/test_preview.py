"""`tlapp preview`: what is on the sheet, what is said of it, and what is left alone when it fails."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tlapp_plugins.partial import Partial

from tlapp import blame
from tlapp.cli.main import run
from tlapp.contracts import Augment, Fit, Plan, PluginError, Strategy, UserError
from tlapp.engine.job import Job
from tlapp.engine.options import RunOptions
from tlapp.engine.preview import HEADER, MARGIN, TILE, preview
from tlapp.engine.report import Silent
from tlapp.testing import TinyBackbones, pictures, tiny_run
from tlapp.testing.tiny import Dense


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    """Pictures, and pale ones of the same classes."""
    folder = tmp_path_factory.mktemp("domains")
    target = pictures(folder / "target", each=6, seed=9)
    for path in target.rglob("*.png"):
        Image.fromarray(pale(np.asarray(Image.open(path)), 0).astype(np.uint8)).save(path)
    return str(pictures(folder / "source", each=10)), str(target)


def pale(pictures, seed):
    return pictures * 0.25 + 190.0


def dark(pictures, seed):
    return pictures * 0.25


def meeting(pictures, seed, others):
    return others


def fails(pictures, seed):
    raise ValueError("no such picture")


class Restyles(Strategy):
    """Takes the better of two styles; one of them looks at the target."""

    looks: bool = False
    breaks: bool = False

    def plan(self, task, backbone):
        one = Augment(meeting, None, "meeting", reference="target") if self.looks else Augment(pale, None, "pale")
        styles = (Augment(fails if self.breaks else dark, None, "dark"), one)
        streams = ("train", "target") if self.looks else ("train",)
        return Plan((Fit(name="adapt", rates=backbone.frozen(), epochs=1, learning_rate=1e-3, augments=styles, streams=streams),))


def shown(strategy, domains, path, count=4, **options):
    source, target = domains
    chosen = RunOptions(data=source, target=target, seed=3, **options)
    label = "strategy x"
    job = Job(chosen, blame.strategy(strategy, label), Dense(), TinyBackbones(), "tiny", {}, (), label)
    return preview(job, Silent(), path, count)


def tile(sheet, row, column):
    """A picture on the sheet, made as small as the tiny backbone's again."""
    left, top = HEADER + column * (TILE + MARGIN), MARGIN + row * (TILE + MARGIN)
    return np.asarray(sheet.crop((left, top, left + TILE, top + TILE)).resize((32, 32), Image.Resampling.NEAREST))


def test_source_styles_and_target_side_by_side(domains, tmp_path, tensorflow):
    found = shown(Restyles(), domains, tmp_path / "sheet.png")
    assert found["preview"] == str(tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (HEADER + 4 * (TILE + MARGIN) + MARGIN, 4 * (TILE + MARGIN) + MARGIN)
    source, darker, paler, target = found["rows"]
    for column, file in enumerate(source["images"]):
        plain = np.asarray(Image.open(file)).astype(float)
        assert np.array_equal(tile(sheet, 0, column), plain)
        assert np.abs(tile(sheet, 1, column) - dark(plain, 0)).max() <= 1
        assert np.abs(tile(sheet, 2, column) - pale(plain, 0)).max() <= 1
    for column, file in enumerate(target["images"]):
        assert np.array_equal(tile(sheet, 3, column), np.asarray(Image.open(file)))
    assert [row["stream"] for row in found["rows"]] == ["train", "train", "train", "target"]
    assert [row.get("chosen") for row in (darker, paler)] == [False, True]
    assert paler["distance"] < source["distance"] < darker["distance"]
    assert paler["title"].startswith("adapt: pale, distance ") and paler["title"].endswith(", chosen")
    assert source["title"].startswith("source: 4 of ") and target["title"] == "target: 4 of 18 pictures"
    green = np.all(np.asarray(sheet) == (0, 128, 0), axis=-1).sum(axis=1)
    assert np.flatnonzero(green > sheet.width // 2).min() > 2 * TILE and (green > 0).sum() < TILE + 3 * MARGIN


def test_what_is_chosen_is_what_training_chooses(domains, tmp_path, tensorflow):
    found = shown(Restyles(), domains, tmp_path / "sheet.png")
    (chosen,) = [row["augment"] for row in found["rows"] if row.get("chosen")]
    trained = tiny_run(Restyles(), domains[0], tmp_path / "run", target=domains[1], seed=3)
    assert [slot.phase.augment.name for slot in trained.work.slots] == [chosen]


def same(pictures, seed):
    return pictures


class TargetPaces(Strategy):
    """As Restyles, with more pictures of the target than of the source, so that the target paces."""

    def plan(self, task, backbone):
        def loss(net, batches):
            return {"loss": net.task_loss(batches["train"])}

        phase = {"rates": backbone.frozen(), "epochs": 1, "learning_rate": 1e-3, "streams": ("target", "train"), "loss": loss}
        return Plan((Fit(name="adapt", augments=(Augment(same, None, "same"), Augment(pale, None, "pale")), **phase),))


def test_phases_that_choose_alike_measure_once(domains, tmp_path, tensorflow, monkeypatch):
    from tlapp.engine.training import style

    count, distances = [0], style.distances

    def counted(*arguments):
        count[0] += 1
        return distances(*arguments)

    class Twice(Restyles):
        def plan(self, task, backbone):
            (phase,) = super().plan(task, backbone).phases
            return Plan((phase, replace(phase, name="again")))

    monkeypatch.setattr(style, "distances", counted)
    run = tiny_run(Twice(), domains[0], tmp_path / "run", target=domains[1], seed=3)
    assert count == [1] and [slot.phase.augment.name for slot in run.work.slots] == ["pale", "pale"]


def test_it_is_the_source_that_is_to_look_like_the_target(domains, tmp_path, tensorflow):
    found = shown(TargetPaces(), domains, tmp_path / "sheet.png")
    assert {row["augment"] for row in found["rows"] if row.get("chosen")} == {"pale"}
    assert [row["distance"] for row in found["rows"] if "augment" not in row and row["stream"] == "target"] == [None]
    trained = tiny_run(TargetPaces(), domains[0], tmp_path / "run", target=domains[1], seed=3)
    assert [slot.phase.augment.name for slot in trained.work.slots] == ["pale"]


def test_a_style_that_looks_at_the_target_leaves_it_as_it_is(domains, tmp_path, tensorflow):
    found = shown(Restyles(looks=True), domains, tmp_path / "sheet.png")
    assert [(row["stream"], row.get("augment")) for row in found["rows"]] == [
        ("train", None), ("train", "dark"), ("train", "meeting"), ("target", None), ("target", "dark"),
    ]  # fmt: skip
    sheet = Image.open(tmp_path / "sheet.png")
    assert all(tile(sheet, 2, column).mean() > 185 for column in range(4)), "pictures of the target"


class Sometimes(Strategy):
    """Darkens every other picture, chosen by the seed."""

    def plan(self, task, backbone):
        phase = {"rates": backbone.frozen(), "epochs": 1, "learning_rate": 1e-3}
        return Plan((Fit(name="head", augment=Augment(self.darken, None, "dark"), **phase),))

    def darken(self, pictures, seed):
        chosen = np.random.default_rng(seed).random((len(pictures), 1, 1, 1)) < 0.5
        return np.where(chosen, dark(pictures, seed), pictures)


def test_half_changed_pictures_are_shown_changed_and_it_is_said(domains, tmp_path, tensorflow):
    found = shown(Sometimes(), domains, tmp_path / "sheet.png", count=6)
    (darker,) = [row for row in found["rows"] if row.get("augment") == "dark"]
    assert 0.3 < darker["changed"] < 0.7 and darker["title"].startswith("head: dark; changes about ") and not darker["chosen"]
    sheet = Image.open(tmp_path / "sheet.png")
    assert all(tile(sheet, 1, column).max() <= 64 for column in range(6))


def test_basic_augmentation_counts_and_needs_no_target(domains, tmp_path, tensorflow):
    found = shown(Partial(last=1), (domains[0], None), tmp_path / "sheet.png", augment="basic")
    assert [row["title"].partition(",")[0] for row in found["rows"]] == ["source: 4 of 18 pictures", "warm-up"]
    assert found["rows"][1]["title"] == "warm-up, tune: basic"
    sheet = Image.open(tmp_path / "sheet.png")
    assert not np.array_equal(tile(sheet, 0, 0), tile(sheet, 1, 0))


def test_a_strategy_that_changes_nothing_is_refused(domains, tmp_path, tensorflow):
    with pytest.raises(UserError, match=r"option plugin=partial: changes no pictures.* add option augment=basic"):
        shown(Partial(last=1), domains, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


def test_where_a_style_fails_nothing_is_written(domains, tmp_path, tensorflow):
    with pytest.raises(PluginError, match="strategy x: phase adapt: its augment failed: ValueError: no such picture"):
        shown(Restyles(breaks=True), domains, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


def test_where_it_cannot_be_written_the_sheet_before_stays(domains, tmp_path, tensorflow, monkeypatch):
    path = tmp_path / "sheet.png"
    shown(Restyles(), domains, path)
    before = path.read_bytes()

    def full(self, place, *more, **given):
        place.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "save", full)
        with pytest.raises(UserError, match=r"sheet.png: cannot be written: No space left on device"):
            shown(Restyles(), domains, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    shown(Restyles(), domains, path, count=2)
    assert path.read_bytes() != before, "a sheet replaces a sheet"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("sheet.jpg", "must end in .png"), ("none/sheet.png", "there is no folder"), ("mine.png", "was not made by tlapp preview")],
)
def test_a_bad_place_is_refused_before_anything_is_read(name, sentence, tmp_path, capfd):
    Image.new("RGB", (4, 4)).save(tmp_path / "mine.png")
    mine = (tmp_path / "mine.png").read_bytes()
    assert run(["preview", "--data", str(tmp_path / "nowhere"), "--output", str(tmp_path / name)]) == 2
    assert sentence in capfd.readouterr().err
    assert (tmp_path / "mine.png").read_bytes() == mine and len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_on_the_command_line(domains, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    small = ["--data", domains[0], "--image-size", "32", "--backbone-weights", "none"]
    adapt = ["preview", "--plugin", "augment-adapt", "--target", domains[1], *small, "--style", "sketch", "--count", "3"]
    assert run([*adapt, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["preview"] == "preview.png" and Image.open(tmp_path / "preview.png").format == "PNG"
    assert [len(row["images"]) for row in found["rows"] if "images" in row] == [3, 3]
    (tmp_path / "settings.yaml").write_text("plugin: partial\naugment: basic\nrun: .\n")
    assert run(["preview", "--config", "settings.yaml", *small]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == ["warm-up, tune: basic", "sheet: preview.png"]
    assert run(["preview", "--plugin", "partial", *small]) == 2
    assert "changes no pictures" in capfd.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"preview.png", "settings.yaml"}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which not even root may write")
def test_a_place_that_cannot_be_written_is_shown_before_anything_is_read(capfd):
    assert run(["preview", "--plugin", "augment-adapt", "--data", "nowhere", "--output", "/proc/self/sheet.png"]) == 2
    assert "--output /proc/self/sheet.png: cannot be written" in capfd.readouterr().err
