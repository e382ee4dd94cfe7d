"""An audit finds what was planted: flipped labels, copies that were changed, leaks, conflicts, odd and poor pictures, twins."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.advice import audit, copies
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones


def made(n=300, classes=3, seed=0):
    """Pictures of noise with features that tell their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = rng.normal(size=(n, 10)) + 3 * rng.normal(size=(classes, 10))[labels]
    grey = rng.integers(0, 256, (n, 32, 32), dtype=np.uint8)
    names = [f"{row}.png" for row in range(n)]
    splits = ["test" if row % 5 == 0 else "train" for row in range(n)]
    return audit.Pictures(names, labels, splits, "abc"[:classes], [""] * n, features, grey, [(64, 64)] * n)


def kinds(found, kind):
    return {each.source for each in found if each.kind == kind}


def test_flipped_labels_are_named_with_the_class_that_they_seem_to_be():
    data = made()
    rows = np.random.default_rng(1).permutation(300)[:15]
    flipped = data._replace(labels=np.where(np.isin(np.arange(300), rows), (data.labels + 1) % 3, data.labels))
    found, _ = audit.audit(flipped)
    named = {each.source: each.suggestion for each in found if each.kind == "label"}
    wrong = {f"{row}.png": "abc"[data.labels[row]] for row in rows}
    right = {name for name in wrong if named.get(name) == wrong[name]}
    assert len(right) >= 0.8 * len(wrong) and len(right) >= 0.6 * len(named)
    assert not kinds(audit.audit(data)[0], "label")


def test_a_label_among_classes_that_look_alike_is_not_named_but_one_that_is_none_of_them_is():
    """Where three classes have the same pictures, none is wrong; a fourth is, however unsure which of the three is right."""
    rng = np.random.default_rng(0)
    labels = np.arange(500) % 5
    features = rng.normal(size=(500, 10)) + 4 * rng.normal(size=(5, 10))[np.where(labels < 3, 0, labels)]
    wrong = rng.permutation(np.flatnonzero(labels < 3))[:10]
    data = made(500, 5)._replace(features=features, classes="abcde", labels=np.where(np.isin(np.arange(500), wrong), 4, labels))
    named = {each.source for each in audit.wrong_labels(data, audit.cross_validated(data, data.groups))}
    planted = {f"{row}.png" for row in wrong}
    assert len(named & planted) >= 9 and len(named - planted) <= 20


def test_copies_are_told_by_pixels_whatever_was_cut_off():
    rng = np.random.default_rng(0)
    whole = np.asarray(Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).resize((96, 96), Image.Resampling.BICUBIC))
    other = np.asarray(Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).resize((96, 96), Image.Resampling.BICUBIC))
    cropped = np.asarray(Image.fromarray(whole).resize((96, 96), Image.Resampling.BILINEAR, (4.8, 4.8, 96, 96)))
    small = np.asarray(Image.fromarray(whole).resize((60, 60)).resize((96, 96)))
    pictures = np.stack([whole, other, cropped, small])
    shown = copies.Grey(pictures, [96] * 4)
    assert [pair for *pair, _ in copies.copies([(0, 1), (0, 2), (2, 0), (3, 0), (2, 1)], shown, shown)] == [
        [0, 2],
        [2, 0],
        [3, 0],
    ]
    assert [pair for *pair, _ in copies.copies([(0, 2)], shown, copies.Grey(pictures.copy(), [96] * 4))] == [[0, 2]]


def test_a_smaller_copy_of_a_small_picture_is_told_by_what_it_has_kept():
    rng = np.random.default_rng(0)

    def shown(picture):
        return np.asarray(picture.resize((96, 96), Image.Resampling.BILINEAR))

    def drawn():
        """A picture of a few shapes with a pattern of single pixels on them."""
        shapes = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).resize((28, 28), Image.Resampling.BICUBIC)
        return Image.fromarray((0.57 * np.asarray(shapes) + rng.integers(0, 110, (28, 28))).astype(np.uint8))

    one, other = drawn(), drawn()
    pictures = np.stack([shown(one), shown(one.resize((20, 20))), shown(other)])
    pairs = [(0, 1), (0, 2), (1, 2)]

    def found(pixels):
        grey = copies.Grey(pictures, pixels)
        return [pair for *pair, _ in copies.copies(pairs, grey, grey)]

    assert found([28, 20, 28]) == [[0, 1]]
    assert found([200, 200, 200]) == []  # where it was large, as much detail as is missing makes it another picture


def test_small_pictures_that_are_alike_anyway_must_be_more_alike_to_be_copies():
    rng = np.random.default_rng(0)

    def drawn():
        return rng.normal(size=(16, 16))

    def shown(values):
        pixels = np.clip(128 + 32 * values, 0, 255).astype(np.uint8)
        return np.asarray(Image.fromarray(pixels).resize((96, 96), Image.Resampling.BILINEAR))

    def found(pictures):
        """The pairs with the first one's copy, of which some detail is lost."""
        grey = copies.Grey(np.stack([*map(shown, pictures), shown(pictures[0] + 0.12 * drawn())]), [32] * (len(pictures) + 1))
        pairs = [(one, other) for other in range(len(pictures) + 1) for one in range(other)]
        return [pair for *pair, _ in copies.copies(pairs, grey, grey)]

    shared = drawn()
    assert found([drawn() for _ in range(12)]) == [[0, 12]]
    assert found([shared + 0.25 * drawn() for _ in range(12)]) == []


def test_drawings_of_a_few_pixels_are_copies_only_where_they_are_the_same():
    rng = np.random.default_rng(0)

    def shown(pixels):
        return np.asarray(Image.fromarray(pixels).resize((96, 96), Image.Resampling.BILINEAR))

    drawn = [rng.integers(0, 256, (8, 8), dtype=np.uint8) for _ in range(12)]
    redrawn = drawn[0].copy()
    redrawn[4, 4] += 40 if redrawn[4, 4] < 128 else -40
    pictures = np.stack([shown(each) for each in (*drawn, redrawn, drawn[1])])
    features = pictures.reshape(len(pictures), -1)[:, ::7].astype(np.float32)
    names = [f"{number}.png" for number in range(len(pictures))]
    data = audit.Pictures(names, np.zeros(len(names), int), ["train"] * len(names), ["a", "b"], [""] * len(names),
                          features, pictures, [(8, 8)] * len(names))  # fmt: skip
    assert [(each.source, each.other) for each in audit.near_copies(data)] == [("13.png", "1.png")]
    large = [(each.source, each.other) for each in audit.near_copies(data._replace(sizes=[(96, 96)] * len(names)))]
    assert ("12.png", "0.png") in large


def test_a_copy_is_a_leak_in_another_split_and_a_conflict_under_another_label():
    data = made()
    features, grey, labels = data.features.copy(), data.grey.copy(), data.labels.copy()
    for one, other in ((1, 4), (6, 5), (7, 8)):  # the same class and split; another split; another label
        features[other], grey[other] = features[one], grey[one]
    labels[5] = labels[6]
    found, _ = audit.audit(data._replace(features=features, grey=grey, labels=labels))
    pairs = {(each.kind, *sorted((each.source, each.other))) for each in found if each.other}
    assert pairs == {("copy", "1.png", "4.png"), ("leak", "5.png", "6.png"), ("conflict", "7.png", "8.png")}
    kept = {source for source, *_ in audit.fixed(data, found)}
    assert not {"7.png", "8.png"} & kept and len({"1.png", "4.png"} & kept) == len({"5.png", "6.png"} & kept) == 1
    assert [each.kind for each in found][:2] == ["conflict", "leak"]


def test_odd_and_poor_pictures_are_named():
    data = made()
    features, grey = data.features.copy(), data.grey.copy()
    features[0] = 40 * np.where(np.arange(10) % 2, 1, -1)
    grey[1], grey[2] = 128, np.random.default_rng(0).integers(0, 40, (32, 32))
    grey[3] = np.linspace(0, 255, 32).astype(np.uint8)
    found, _ = audit.audit(data._replace(features=features, grey=grey, sizes=[(64, 64)] * 4 + [(3, 9)] + [(64, 64)] * 295))
    assert "0.png" in kinds(found, "odd") and kinds(found, "flat") == {"1.png"} and kinds(found, "dark") == {"2.png"}
    assert kinds(found, "blurred") == {"3.png"} and kinds(found, "tiny") == {"4.png"}


def test_two_classes_that_are_one():
    data = made()
    twins = data._replace(features=np.where((data.labels == 1)[:, None], np.roll(data.features, 1, axis=0), data.features))
    _, said = audit.audit(twins)
    assert len(said) == 1 and said[0].startswith("a and b may be one class: ")
    assert audit.audit(data)[1] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """Pictures of two kinds, one of them twice, once as a JPEG, under a name that is code."""
    folder, rng = tmp_path_factory.mktemp("audit"), np.random.default_rng(0)
    for label, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (folder / "data" / label).mkdir(parents=True)
        for number in range(20):
            blocks = np.clip(np.array(colour) + rng.integers(-60, 60, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(blocks).resize((SIZE, SIZE), Image.Resampling.NEAREST).save(folder / "data" / label / f"{number}.png")
    with Image.open(folder / "data" / "red" / "3.png") as picture:
        picture.save(folder / "data" / "red" / "<b>copy.jpg", quality=90)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return folder


def test_the_command(place, capfd):
    arguments = ["audit", "--data", str(place / "data"), "--backbone", f"file:{place}/tiny.keras", "--image-size", str(SIZE)]
    assert command([*arguments, "--output", str(place / "out"), "--write", str(place / "fixed.csv")]) == 0
    out = capfd.readouterr().out
    assert "41 pictures: " in out and f"written: {place}/out/page.html" in out and "near-copies" in out
    with open(place / "out" / "audit.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = {frozenset((row["source"].rpartition("/")[2], row["other"].rpartition("/")[2])) for row in rows if row["other"]}
    assert frozenset(("3.png", "<b>copy.jpg")) in pairs
    page = (place / "out" / "page.html").read_text()
    assert "&lt;b&gt;copy.jpg" in page and "<b>copy" not in page and "data:image/jpeg;base64," in page and "http" not in page
    with open(place / "fixed.csv", encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert len(kept) < 41 and {row["split"] for row in kept} == {"train", "val", "test"}
    again = tlapp.train(
        data=str(place / "fixed.csv"), backbone=f"file:{place}/tiny.keras", image_size=SIZE, plugin="feature-extract",
        run=str(place / "run"),
    )  # fmt: skip
    assert sum(again.metrics["images"].values()) == len(kept)
    assert command([*arguments, "--write", str(place / "fixed.csv")]) == 2 and "already exists" in capfd.readouterr().err
    assert command([*arguments, "--json"]) == 0 and json.loads(capfd.readouterr().out)["pictures"] == 41


def test_what_has_no_classes_is_refused(place):
    with pytest.raises(UserError, match="one label an example"):
        tlapp.audit(place / "data", backbone=f"file:{place}/tiny.keras", image_size=SIZE, head="multilabel")


def test_a_run_tells_of_test_pictures_that_are_copies_of_training_pictures(tmp_path, tensorflow, capfd):
    rng, rows = np.random.default_rng(0), []

    def picture(name, split, pixels):
        Image.fromarray(pixels).save(tmp_path / name, quality=90)
        rows.append((name, "ab"[len(rows) % 2], split))

    def new():
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        return np.asarray(small.resize((4 * SIZE, 4 * SIZE), Image.Resampling.BICUBIC))

    known = [new() for _ in range(24)]
    for number, pixels in enumerate(known):
        picture(f"train{number}.png", "train", pixels)
    for number in range(8):
        picture(f"val{number}.png", "val", new())
    for number in range(20):
        picture(f"test{number}.png", "test", new())
    TinyBackbones().load("tiny").graph.save(tmp_path / "tiny.keras")
    words = ["train", "--plugin", "freeze", "--data", str(tmp_path / "data.csv"), "--image-size", str(SIZE), "--epochs", "1",
             "--backbone", f"file:{tmp_path}/tiny.keras"]  # fmt: skip

    def trained(name):
        with open(tmp_path / "data.csv", "w", newline="") as file:
            csv.writer(file).writerows([("path", "label", "split"), *rows])
        assert command([*words, "--run", str(tmp_path / name)]) == 0
        return tlapp.load(tmp_path / name).metrics.get("leaks"), capfd.readouterr().out

    leaks, said = trained("clean")
    assert leaks is None and "look like training pictures" not in said
    picture("again1.jpg", "test", known[1])
    picture("again2.jpg", "test", np.asarray(Image.fromarray(known[2]).resize((90, 90))))
    leaks, said = trained("leaking")
    assert (leaks["count"], leaks["of"]) == (2, 22)
    pairs = {(one.rsplit("/")[-1], other.rsplit("/")[-1]) for one, other in leaks["pairs"]}
    assert pairs == {("again1.jpg", "train1.png"), ("again2.jpg", "train2.png")}
    assert "2 of 22 test pictures look like training pictures" in said and "tlapp audit" in said
