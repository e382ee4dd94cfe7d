"""Pictures, sources, splits and streams."""

import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from tlapp.engine.cache import store
from tlapp.engine.data import folders, splits, streams
from tlapp.engine.data.tables import Item
from tlapp.engine.inputs import decode, images, workers
from tlapp.engine.inputs.digits import digits
from tlapp.engine.memory import enough_memory
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError

SIZE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


# One picture --------------------------------------------------------------------------------------------------------------------

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


def quarters(width=48, height=32):
    """Red, green, blue and grey quarters, from the top left to the bottom right."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    for (rows, columns), colour in zip(
        [(top, left), (top, right), (bottom, left), (bottom, right)], COLOURS.values(), strict=True
    ):
        picture[rows, columns] = colour
    return Image.fromarray(picture)


def seen(picture):
    """The four quarters' colours at their middles."""
    assert picture.shape[0] == picture.shape[1] and picture.shape[2] == 3 and picture.dtype == np.uint8
    q = len(picture) // 4
    names = list(COLOURS)
    middles = [picture[row, column].astype(int) for row in (q, 3 * q) for column in (q, 3 * q)]
    return [names[int(np.argmin([np.abs(middle - colour).sum() for colour in COLOURS.values()]))] for middle in middles]


UPRIGHT = ["red", "green", "blue", "grey"]


@pytest.mark.parametrize(
    "name, convert, options",
    [
        ("a.png", "RGB", {}), ("a.jpg", "RGB", {"quality": 95}), ("a.jpeg", "CMYK", {"quality": 95}), ("a.bmp", "RGB", {}),
        ("a.gif", "P", {}), ("a.webp", "RGB", {"lossless": True}), ("a.webp", "RGBA", {}), ("a.tif", "RGB", {}),
        ("a.tiff", "CMYK", {}), ("a.tiff", "RGB", {"compression": "tiff_lzw"}), ("a.png", "P", {}), ("a.png", "RGBA", {}),
        ("a.JPG", "RGB", {"progressive": True, "quality": 95}), ("a.tif", "YCbCr", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [16, 32, 100])
def test_every_format_reads(tmp_path, name, convert, options, size):
    quarters().convert(convert).save(tmp_path / name, **options)
    assert os.path.splitext(name)[1].lower() in images.SUFFIXES
    assert seen(images.read(str(tmp_path / name), size)) == UPRIGHT


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(tmp_path, orientation, suffix):
    undo = {1: [], 2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]  # Pillow's transposes that store it so
    stored = quarters(64, 64)
    for step in undo:
        stored = stored.transpose(Image.Transpose(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    stored.save(tmp_path / f"a.{suffix}", exif=exif, **options)
    assert seen(images.read(str(tmp_path / f"a.{suffix}"), SIZE)) == UPRIGHT


def flat(tmp_path, image, name="a.png", **options):
    image.save(tmp_path / name, **options)
    picture = images.read(str(tmp_path / name), SIZE)
    assert (picture == picture[0, 0]).all()
    return picture[0, 0].tolist()


@pytest.mark.parametrize("value, expected", [(0, 0), (200, 1), (257, 1), (32768, 128), (60000, 233), (65535, 255)])
@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_16_bits_are_scaled(tmp_path, value, expected, name):
    assert flat(tmp_path, Image.fromarray(np.full((5, 7), value, np.uint16)), name) == [expected] * 3


@pytest.mark.parametrize("low, high, expected", [(0, 1, (0, 255)), (0, 0.5, (0, 128)), (0, 200, (0, 200)), (0, 65535, (0, 255)),
                                                 (-1, 1, (0, 255)), (0, 1e6, (0, 255))])  # fmt: skip
def test_floats_are_scaled(tmp_path, low, high, expected):
    values = np.full((SIZE, SIZE), low, np.float32)
    values[:, SIZE // 2 :] = high
    Image.fromarray(values).save(tmp_path / "a.tiff")
    picture = images.read(str(tmp_path / "a.tiff"), SIZE)
    assert (picture[0, 0, 0], picture[0, -1, 2]) == expected


@pytest.mark.parametrize("values", [[[0.5, np.nan]], [[np.inf, 0.5]], [[7.0, 7.0]], [[-np.inf, np.nan]]])
def test_odd_floats_give_a_picture(tmp_path, values):
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "a.tiff")
    assert images.read(str(tmp_path / "a.tiff"), SIZE).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("value, expected", [(0, 0), (65535, 255), (-70000, 0), (10**9, 0)])
def test_32_bit_integers_are_scaled(tmp_path, value, expected):
    assert flat(tmp_path, Image.fromarray(np.full((5, 7), value, np.int32)), "a.tiff") == [expected] * 3


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("RGBA", (255, 0, 0, 0), [255, 255, 255]), ("RGBA", (255, 0, 0, 255), [255, 0, 0]), ("RGBA", (0, 0, 0, 102), [153] * 3),
        ("LA", (0, 0), [255] * 3), ("LA", (0, 102), [153] * 3), ("LA", (40, 255), [40] * 3), ("L", 90, [90] * 3),
        ("1", 1, [255] * 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", [SIZE, 50])
def test_alpha_lies_over_white(tmp_path, mode, colour, expected, side):
    assert flat(tmp_path, Image.new(mode, (side, side), colour)) == expected


@pytest.mark.parametrize("mode, key", [("P", 0), ("L", 7), ("RGB", (7, 7, 7))])
def test_a_transparent_colour_is_white(tmp_path, mode, key):
    assert flat(tmp_path, Image.new(mode, (9, 9), key), transparency=key) == [255, 255, 255]


def test_a_palette_with_graded_alpha(tmp_path):
    image = Image.new("P", (9, 9), 1)
    image.putpalette([10, 20, 30, 0, 0, 0])
    assert flat(tmp_path, image, transparency=bytes([255, 102])) == [153] * 3


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.tiff", "a.png"):
        assert flat(tmp_path, frames[0], name, save_all=True, lossless=True, append_images=frames[1:])[2] < 10


def test_resizing_smooths(tmp_path):
    board = np.indices((512, 512)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    assert np.abs(images.read(str(tmp_path / "a.png"), SIZE).astype(int) - 127).max() <= 2


def test_a_large_jpeg_is_read_as_if_decoded_whole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=92)
    whole = Image.open(tmp_path / "a.jpg").resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(images.read(str(tmp_path / "a.jpg"), 64).astype(int) - np.asarray(whole).astype(int)).mean() < 1.5


def png(width, height, rows=b""):
    """A PNG of 8-bit grey with the header told, whatever its content."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("width, told", [(12_000, "120 million pixels"), (15_000, "150 million"), (60_000, "600 million")])
def test_bombs_are_refused_by_their_header(tmp_path, width, told):
    (tmp_path / "a.png").write_bytes(png(width, 10_000))
    with pytest.raises(images.BadPicture, match=f"{told}.*over the limit of 100 million"):
        images.read(str(tmp_path / "a.png"), SIZE)


def test_pillow_does_not_warn(tmp_path):
    (tmp_path / "a.png").write_bytes(png(15_000, 10_000))
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(images.BadPicture):
                images.read(str(tmp_path / "a.png"), SIZE)
        assert caught == []


def test_the_limit_is_inclusive(tmp_path):
    Image.new("1", (100, 100)).save(tmp_path / "a.png")
    assert images.read(str(tmp_path / "a.png"), SIZE, most_pixels=10_000).shape == (SIZE, SIZE, 3)
    with pytest.raises(images.BadPicture, match="over the limit"):
        images.read(str(tmp_path / "a.png"), SIZE, most_pixels=9_999)


def photograph(path, seed=0, side=64, **options):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_truncated_files_are_bad(tmp_path, name, part):
    whole = photograph(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(images.BadPicture, match=r"damaged or cut short|not a picture"):
        images.read(str(tmp_path / name), SIZE)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty file"), (b"hello, I am text", "not a picture"), (b"<svg/>", "not a picture"),
        (b"\xff\xd8\xff", "not a|damaged"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
    ],
)  # fmt: skip
def test_what_is_no_picture_says_so(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(images.BadPicture, match=reason) as told:
        images.read(str(tmp_path / "a.jpg"), SIZE)
    assert str(tmp_path / "a.jpg") in str(told.value) and isinstance(told.value, UserError)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(images.BadPicture, match="cannot be opened: No such file"):
        images.read(str(tmp_path / "a.jpg"), SIZE)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff"])
def test_damaged_files_give_a_picture_or_bad_picture(tmp_path, name):
    whole = photograph(tmp_path / name, side=24).read_bytes()
    dice = random.Random(name)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        (tmp_path / name).write_bytes(broken)
        try:
            assert images.read(str(tmp_path / name), SIZE, most_pixels=10**6).shape == (SIZE, SIZE, 3)
        except images.BadPicture as error:
            assert error.reason


def test_arrays_are_squashed_too():
    grey = np.array([[0, 255], [0, 255]], np.uint8)
    picture = images.from_array(grey, SIZE)
    assert picture.shape == (SIZE, SIZE, 3) and picture[0, 0, 0] == 0 and picture[0, -1, 0] == 255


# Sources ------------------------------------------------------------------------------------------------------------------------


def pictures(folder, count, seed=0, suffix="png"):
    """Tiny pictures 1, 2, ..., all different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, zlib.crc32(str(folder.name).encode())])
    for i in range(1, count + 1):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(folder / f"{i}.{suffix}")
    return folder


def two_classes(folder, count=10, seed=0):
    for name in ("cats", "dogs"):
        pictures(folder / name, count, seed)
    return folder


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def load(where, report=None, **options):
    return streams.load(RunOptions(**{"data": str(where), **{name: str(value) for name, value in options.items()}}), SIZE, report)


def sizes(dataset):
    return {name: len(stream) for name, stream in dataset.streams.items()}


def names(stream, base):
    return {os.path.relpath(file, base).replace(os.sep, "/") for file in stream.files}


@pytest.mark.parametrize(
    "mixed, expected",
    [
        (["10", "2", "1"], ["1", "2", "10"]), (["b10", "b9", "a"], ["a", "b9", "b10"]), (["Zebra", "ant"], ["ant", "Zebra"]),
        (["img12x3", "img2x10", "img2x9"], ["img2x9", "img2x10", "img12x3"]), (["x", "10", "١"], ["10", "x", "١"]),
        (["01", "1", "001"], ["001", "01", "1"]),
    ],
)  # fmt: skip
def test_natural_order(mixed, expected):
    assert folders.natural(mixed) == expected == folders.natural(mixed[::-1])


def test_class_folders(tmp_path):
    for name in ("10", "2", "1"):
        pictures(tmp_path / "d" / name, 20)
    dataset = load(tmp_path / "d")
    assert dataset.classes == ("1", "2", "10")
    assert sizes(dataset) == {"train": 39, "val": 9, "test": 12}
    for stream in dataset.streams.values():
        assert stream.labels.dtype == np.int32 and len(stream.digests) == len(stream)
        assert [dataset.classes[i] for i in stream.labels] == [os.path.basename(os.path.dirname(file)) for file in stream.files]
        expected = np.stack([images.read(file, SIZE) for file in stream.files])
        np.testing.assert_array_equal(stream.pixels.take(np.arange(len(stream))), expected)
        np.testing.assert_array_equal(stream.pixels.take([2, 0, 2]), expected[[2, 0, 2]])


def test_what_is_not_a_picture_is_passed_over_and_folders_are_read_to_the_bottom(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    pictures(root / "cats" / "indoors" / "2020", 3, seed=9, suffix="JPG")
    pictures(root / ".hidden", 2)
    pictures(root / "cats" / ".thumbs", 2)
    pictures(root / "__MACOSX" / "cats", 2)
    for name in ("cats/.DS_Store", "cats/._1.png", "dogs/Thumbs.db", "notes.txt"):
        (root / name).write_text("x")
    dataset = load(root)
    assert dataset.classes == ("cats", "dogs") and sum(sizes(dataset).values()) == 13
    assert "cats/indoors/2020/3.JPG" in set().union(*(names(stream, root) for stream in dataset.streams.values()))


def test_loops_of_links_end(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    (root / "cats" / "again").symlink_to(root / "cats", target_is_directory=True)
    (root / "cats" / "up").symlink_to(root / "cats", target_is_directory=True)
    assert sum(sizes(load(root)).values()) == 10


def test_loose_pictures_are_told(tmp_path):
    root = two_classes(tmp_path / "d", 5)
    pictures(root, 1, seed=3)
    assert any("outside the class folders: 1.png" in note for note in load(root).notes)


def test_folders_of_splits(tmp_path):
    for split, count in (("train", 10), ("validation", 4), ("test", 6)):
        two_classes(tmp_path / "d" / split, count, seed=count)
    dataset = load(tmp_path / "d")
    assert sizes(dataset) == {"train": 20, "val": 8, "test": 12}
    assert all("/test/" in file for file in dataset.streams["test"].files)
    assert all("/validation/" in file for file in dataset.streams["val"].files)


def test_without_val_it_is_split_off_train_alone(tmp_path):
    two_classes(tmp_path / "d" / "train", 20)
    two_classes(tmp_path / "d" / "test", 5, seed=1)
    dataset = load(tmp_path / "d")
    assert sizes(dataset) == {"train": 34, "val": 6, "test": 10}
    assert all("/train/" in file for file in dataset.streams["val"].files)


def test_classes_called_train_and_plane_are_classes(tmp_path):
    for name in ("train", "plane"):
        pictures(tmp_path / "d" / name, 4)
    assert load(tmp_path / "d").classes == ("plane", "train")


def test_a_spare_folder_beside_the_splits_is_told(tmp_path):
    for name in ("train", "test", "raw"):
        two_classes(tmp_path / "d" / name, 5, seed=len(name))
    dataset = load(tmp_path / "d")
    assert dataset.classes == ("cats", "dogs") and any("raw/" in note for note in dataset.notes)


def test_flags_override_folders(tmp_path):
    for name in ("train", "test", "other"):
        two_classes(tmp_path / name / "x" if name == "other" else tmp_path / "d" / name, 5, seed=len(name))
    dataset = load(tmp_path / "d", test=tmp_path / "other" / "x")
    assert all("/other/" in file for file in dataset.streams["test"].files)
    assert any("its test pictures are not used" in note for note in dataset.notes)


def test_csv(tmp_path):
    two_classes(tmp_path / "pics", 4)
    lines = [f"pics/{name}/{i}.png,{name}" for name in ("cats", "dogs") for i in (1, 2, 3, 4)]
    path = tmp_path / "d.csv"
    path.write_text("\ufeffPath , label\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
    dataset = load(path)
    assert dataset.classes == ("cats", "dogs") and sizes(dataset) == {"train": 4, "val": 2, "test": 2}


def test_csv_with_splits_repeats_a_run(tmp_path):
    dataset = load(two_classes(tmp_path / "pics", 12))
    rows = streams.split_rows(dataset)
    again = load(table(tmp_path / "d.csv", "path,label,split", *(f"{row.path},{row.label},{row.split}" for row in rows)), seed=5)
    assert streams.split_rows(again) == rows and os.path.isabs(rows[0].path)


def test_csv_for_one_stream_gives_its_rows_of_that_split(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    other = two_classes(tmp_path / "e", 2, seed=4)
    lines = [f"e/{name}/{i}.png,{name},{split}" for name in ("cats", "dogs") for i, split in ((1, "test"), (2, "train"))]
    dataset = load(root, test=table(tmp_path / "d.csv", "path,label,split", *lines))
    assert names(dataset.streams["test"], other) == {"cats/1.png", "dogs/1.png"}


@pytest.mark.parametrize("kind", ["classes", "flat", "flat with folders", "csv", "csv without labels"])
def test_target(tmp_path, kind):
    root, target = two_classes(tmp_path / "d", 6), tmp_path / "t"
    two_classes(target, 3, seed=8) if kind in ("classes", "flat with folders", "csv", "csv without labels") else pictures(
        target, 6
    )
    if kind == "flat with folders":
        pictures(target, 6, seed=9)
    if kind.startswith("csv"):
        ends = {"csv": ",{}", "csv without labels": ""}[kind]
        lines = [f"t/{name}/{i}.png{ends.format(name)}" for name in ("cats", "dogs") for i in (1, 2, 3)]
        target = table(tmp_path / "t.csv", "path,label" if ends else "path", *lines)
    stream = load(root, target=target).streams["target"]
    assert len(stream) == (12 if kind == "flat with folders" else 6)
    assert (stream.labels is None) == (kind not in ("classes", "csv"))
    if stream.labels is not None:
        assert stream.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_aux_has_its_own_classes(tmp_path):
    for name in ("b", "a", "c"):
        pictures(tmp_path / "x" / name, 2)
    dataset = load(two_classes(tmp_path / "d", 6), aux=tmp_path / "x")
    assert dataset.aux_classes == ("a", "b", "c") and dataset.streams["aux"].labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_digits():
    dataset = streams.load(RunOptions(), SIZE)
    assert dataset.classes == tuple("0123456789") and sum(sizes(dataset).values()) == 1797
    stream = dataset.streams["train"]
    shown, labels = digits()
    first = int(stream.files[0].rpartition("/")[2])
    np.testing.assert_array_equal(stream.pixels.take([0])[0], images.from_array(shown[first], SIZE))
    assert stream.labels[0] == labels[first] and shown.max() == 255
    assert streams.split_rows(dataset)[0].path == stream.files[0]


# Errors -------------------------------------------------------------------------------------------------------------------------


def bad_layouts(base):
    """Name -> (options, what the sentence must say)."""
    good, empty = two_classes(base / "good", 4), base / "empty"
    two_classes(empty, 3)
    (empty / "birds").mkdir()
    two_classes(base / "heic", 3)
    (base / "heic" / "owls").mkdir()
    (base / "heic" / "owls" / "1.HEIC").write_text("x")
    pictures(base / "flat", 3)
    pictures(base / "one" / "photos" / "cats", 3)
    (base / "nothing").mkdir()
    (base / "archive.zip").write_text("x")
    two_classes(base / "tested" / "test", 3)
    pictures(base / "unsorted" / "train", 3)
    two_classes(base / "strange", 3)
    pictures(base / "strange" / "Dog", 3)
    two_classes(base / "few", 2)
    csv = "path,label,split,group"
    cat = "good/cats/2.png"
    lines = ["good/cats/1.png,cats,train,a", "good/dogs/1.png,dogs,test,b"]
    return {
        "missing": ({"data": base / "nowhere"}, ["--data: there is no file or folder", "nowhere"]),
        "missing test": ({"data": good, "test": base / "nowhere"}, ["--test: there is no file or folder"]),
        "nothing": ({"data": base / "nothing"}, ["--data", "neither class folders nor pictures"]),
        "flat": ({"data": base / "flat"}, ["--data", "pictures but no class folders", "folder of its name"]),
        "unsorted train": ({"data": base / "unsorted"}, ["train: holds pictures but no class folders"]),
        "one class": ({"data": base / "one"}, ["at least two classes", "one, photos", "did you mean --data", "one/photos"]),
        "empty class": ({"data": empty}, ["class folder birds holds no pictures", ".webp"]),
        "unsupported": ({"data": base / "heic"}, ["class folder owls holds only .heic files", "convert"]),
        "zip": ({"data": base / "archive.zip"}, ["a folder or a .csv file", "unpack it first"]),
        "no train": ({"data": base / "tested"}, ["holds test but no train folder"]),
        "test class": ({"data": good, "test": base / "strange"}, ["--test", "(cats, dogs): Dog (did you mean dogs?)"]),
        "val class": ({"data": good, "val": base / "strange"}, ["--val", ": Dog"]),
        "target class": ({"data": good, "target": base / "strange"}, ["--target", ": Dog", "without labels"]),
        "target nothing": ({"data": good, "target": base / "nothing"}, ["--target", "no pictures there"]),
        "aux one class": ({"data": good, "aux": base / "one"}, ["--aux", "at least two classes"]),
        "few": ({"data": base / "few"}, ["no class has the 3 pictures", "--val"]),
        "shares": ({"data": good, "val_share": 0.5, "test_share": 0.5}, ["--val-share 0.5", "--test-share 0.5", "below 1"]),
        "columns": ({"data": table(base / "1.csv", "file;label", "a;b")}, ["path,label", "commas", "Received: file;label"]),
        "no columns": ({"data": table(base / "2.csv", "")}, ["path,label", "Received: nothing"]),
        "no rows": ({"data": table(base / "3.csv", csv)}, ["3.csv: has no rows"]),
        "csv path": ({"data": table(base / "4.csv", csv, *lines, "gone.png,cats,train,")}, ["4.csv, line 4: there is no file"]),
        "csv folder": ({"data": table(base / "5.csv", csv, "good/cats,cats,train,")}, ["5.csv, line 2: there is no file"]),
        "csv no path": ({"data": table(base / "6.csv", csv, ",cats,train,")}, ["line 2: its path is empty"]),
        "csv label": ({"data": table(base / "7.csv", csv, *lines, f"{cat},,train,")}, ["line 4: its label is empty"]),
        "csv split": ({"data": table(base / "8.csv", csv, f"{cat},cats,tset,")}, ["line 2", "val or test. Received: tset"]),
        "csv no split": ({"data": table(base / "9.csv", csv, "good/cats/1.png,cats,,")}, ["line 2", "Received: nothing"]),
        "csv group": ({"data": table(base / "10.csv", csv, *lines, f"{cat},cats,val,a")}, ["group a is in train and val"]),
        "csv no train": ({"data": table(base / "11.csv", csv, lines[1])}, ["at least two classes", "no row is of split train"]),
        "csv no test": ({"data": good, "test": table(base / "12.csv", csv, lines[0])}, ["--test", "no row test"]),
        "target half": ({"data": good, "target": table(base / "13.csv", "path,label", f"{cat},cats", f"{cat},")},
                        ["1 of 2 rows have no label"]),
        "csv one class": ({"data": table(base / "14.csv", csv, lines[0])}, ["at least two classes. Received: one, cats"]),
    }  # fmt: skip


BAD = [
    "missing", "missing test", "nothing", "flat", "unsorted train", "one class", "empty class", "unsupported", "zip", "no train",
    "test class", "val class", "target class", "target nothing", "aux one class", "few", "shares", "columns", "no columns",
    "no rows",
    "csv path", "csv folder", "csv no path", "csv label", "csv split", "csv no split", "csv group", "csv no train", "csv no test",
    "target half", "csv one class",
]  # fmt: skip


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    return bad_layouts(tmp_path_factory.mktemp("layouts"))


def test_every_bad_layout_is_tried(layouts):
    assert list(layouts) == BAD


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_flag_and_what_would_be_right(layouts, name):
    options, parts = layouts[name]
    with pytest.raises(UserError) as told:
        load(options.pop("data") if "data" in options else None, **options)
    sentence = str(told.value).replace(os.sep, "/")
    assert all(part in sentence for part in parts), sentence


@pytest.mark.parametrize("content", [b"path,label\n\xff\xfe\x00,a\n", "path,label\nkät.png,a\n".encode("latin-1")])
def test_a_csv_of_another_encoding_is_told(tmp_path, content):
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "d.csv")


def spoil(root):
    for i, content in enumerate((b"", b"text", png(20_000, 20_000), *(b"no",) * 4)):
        (root / "dogs" / f"bad{i}.jpg").write_bytes(content)
    return root


def test_bad_pictures_stop_the_load(tmp_path):
    with pytest.raises(UserError) as told:
        load(spoil(two_classes(tmp_path / "d")))
    sentence = str(told.value)
    assert sentence.startswith("7 pictures cannot be read") and "and 2 more" in sentence and "--on-bad skip" in sentence
    assert all(
        part in sentence for part in ("bad0.jpg: empty file", "bad1.jpg: not a picture", "bad2.jpg: 400 million", "bad4.jpg")
    )
    assert "bad5.jpg" not in sentence


def test_bad_pictures_can_be_left_out(tmp_path):
    dataset = load(spoil(two_classes(tmp_path / "d")), on_bad="skip")
    assert sum(sizes(dataset).values()) == 20
    assert any("left out: 7 pictures" in note for note in dataset.notes)
    for stream in dataset.streams.values():
        for i, file in enumerate(stream.files):
            np.testing.assert_array_equal(stream.pixels.take([i])[0], images.read(file, SIZE))


def test_a_class_of_bad_pictures_only_is_told(tmp_path):
    root = two_classes(tmp_path / "d")
    (root / "owls").mkdir()
    (root / "owls" / "1.png").write_text("x")
    with pytest.raises(UserError, match="no picture left to train on of owls"):
        load(root, on_bad="skip")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_picture_that_may_not_be_read_is_told(tmp_path):
    root = two_classes(tmp_path / "d")
    (root / "cats" / "1.png").chmod(0)
    with pytest.raises(UserError, match=r"1\.png: cannot be opened: Permission denied"):
        load(root)


def test_a_picture_that_vanishes_is_told(tmp_path, monkeypatch):
    root, digest = two_classes(tmp_path / "d"), decode._file_digest

    def vanish(path):
        if path.endswith("3.png"):
            raise FileNotFoundError(2, "No such file or directory")
        return digest(path)

    monkeypatch.setattr(decode, "_file_digest", vanish)
    with pytest.raises(UserError, match=r"2 pictures cannot be read: .*3\.png: cannot be opened: No such file"):
        load(root)


@pytest.mark.parametrize("on_bad", ["fail", "skip"])
def test_a_picture_that_memory_does_not_suffice_for_is_not_left_out(on_bad, tmp_path, monkeypatch):
    def rgb(image, size):
        raise MemoryError

    monkeypatch.setattr(images, "_rgb", rgb)
    options = RunOptions(data=str(two_classes(tmp_path / "d")), image_size=SIZE, on_bad=on_bad)
    sentence = r"memory ran out: lower --batch-size \(now 32\) or --image-size \(now 32\).*\.png: not enough memory to decode it"
    with pytest.raises(UserError, match=sentence), enough_memory(options):
        streams.load(options, SIZE)


# Notes --------------------------------------------------------------------------------------------------------------------------


def test_a_clean_set_has_no_notes(tmp_path):
    assert load(two_classes(tmp_path / "d")).notes == ()


def test_imbalance_is_told(tmp_path):
    pictures(tmp_path / "d" / "cats", 40), pictures(tmp_path / "d" / "dogs", 10)
    pictures(tmp_path / "e" / "cats", 30), pictures(tmp_path / "e" / "dogs", 10)
    assert any("4.3 to 1 in train: cats 26, dogs 6" in note for note in load(tmp_path / "d").notes)
    assert load(tmp_path / "e", val=tmp_path / "d", test=tmp_path / "d").notes[0].startswith("the same picture")


def test_a_class_too_small_to_split_is_told(tmp_path):
    root = two_classes(tmp_path / "d", 6)
    pictures(root / "owls", 2)
    dataset = load(root)
    assert [note for note in dataset.notes if "no picture of owls" in note and note.startswith(("val", "test"))][1:]
    assert (dataset.streams["train"].labels == 2).sum() == 2


def test_copies_stay_together_and_are_told(tmp_path):
    root = two_classes(tmp_path / "d", 12)
    for i in range(1, 13):
        (root / "cats" / f"copy{i}.png").write_bytes((root / "cats" / f"{i}.png").read_bytes())
        Image.open(root / "dogs" / f"{i}.png").save(root / "dogs" / f"again{i}.bmp")
    for seed in range(4):
        dataset = load(root, seed=seed)
        where = {digest: name for name, stream in dataset.streams.items() for digest in stream.digests}
        assert sum(len(set(stream.digests)) for stream in dataset.streams.values()) == len(where) == 36
        whole = {name: names(stream, root) for name, stream in dataset.streams.items()}
        for i in range(1, 13):
            for pair in ({f"cats/{i}.png", f"cats/copy{i}.png"}, {f"dogs/{i}.png", f"dogs/again{i}.bmp"}):
                assert any(pair <= found for found in whole.values())
    assert any("train holds" in note and "copies of other pictures" in note for note in dataset.notes)
    assert not any("the same picture in" in note for note in dataset.notes)


def test_the_same_picture_in_train_and_test_is_told(tmp_path):
    train, test = two_classes(tmp_path / "d" / "train", 8), two_classes(tmp_path / "d" / "test", 4, seed=3)
    Image.open(train / "cats" / "2.png").save(test / "cats" / "leak.tiff")
    (note,) = (note for note in load(tmp_path / "d").notes if "the same picture in" in note and "and test" in note)
    assert "1 in all" in note and "2.png" in note and "leak.tiff" in note


def test_a_picture_under_two_classes_is_told(tmp_path):
    root = two_classes(tmp_path / "d", 8)
    (root / "cats" / "x.png").write_bytes((root / "dogs" / "2.png").read_bytes())
    (note,) = (note for note in load(root).notes if "under two classes" in note)
    assert "x.png (cats)" in note and "2.png (dogs)" in note


# Splits -------------------------------------------------------------------------------------------------------------------------

SHARES = {"val": 0.15, "test": 0.2}


def listed(counts, group=None):
    return [
        Item(f"{label}/{i}.png", f"{i}.png", label, None, group(label, i) if group else None)
        for label, count in counts.items()
        for i in range(count)
    ]


def split(items, seed=0, shares=None, same=None):
    return dict(zip((item.path for item in items), splits.assign(items, same or items, shares or SHARES, seed), strict=True))


@pytest.mark.parametrize("count", [3, 4, 5, 7, 10, 33, 100, 1000])
@pytest.mark.parametrize(
    "shares", [SHARES, {"val": 0.15}, {"test": 0.2}, {"val": 0.05, "test": 0.9}, {"val": 0.89, "test": 0.1}, {}]
)
def test_splits_are_stratified(count, shares):
    found = split(listed({"a": count, "b": 3 * count}), shares=shares)
    for label, total in (("a", count), ("b", 3 * count)):
        held = [part for path, part in found.items() if path.startswith(label)]
        assert held.count("train") >= 1
        for name, share in shares.items():
            room = total - 1 - (len(shares) - 1)
            assert held.count(name) == pytest.approx(min(max(1, share * total), room), abs=1) and held.count(name) >= 1


@pytest.mark.parametrize("count", [1, 2])
def test_classes_too_small_to_split_only_train(count):
    assert set(split(listed({"a": count})).values()) == {"train"}


def test_a_seed_repeats_and_seeds_differ():
    items = listed({"a": 100, "b": 100})
    assert split(items) == split(items) == split(items[::-1])
    assert sum(one != split(items, seed=1)[path] for path, one in split(items).items()) > 40


@pytest.mark.parametrize("added, most_moved", [(1, 2), (10, 6), (100, 45)])
def test_added_pictures_move_few(added, most_moved):
    before, after = split(listed({"a": 1000})), split(listed({"a": 1000 + added}))
    moved = {path: (part, after[path]) for path, part in before.items() if part != after[path]}
    assert len(moved) <= most_moved
    assert not any(set(change) == {"val", "test"} for change in moved.values())
    assert before == {path: part for path, part in split(listed({"a": 1000, "new": 50})).items() if not path.startswith("new")}


@pytest.mark.parametrize(
    "group", [lambda label, i: f"{i % 9}", lambda label, i: f"{label}{i // 7}", lambda label, i: f"{i}" if i % 2 else None]
)
def test_groups_stay_together(group):
    items = listed({"a": 60, "b": 45}, group)
    found = split(items)
    for name in {item.group for item in items} - {None}:
        assert len({found[item.path] for item in items if item.group == name}) == 1
    held = list(found.values())
    assert held.count("test") == pytest.approx(21, abs=8) and held.count("val") == pytest.approx(16, abs=8)


def test_groups_linked_by_a_copy_stay_together():
    items = listed({"a": 40}, lambda label, i: f"{i // 2}")
    same = [f"link {i // 4}" if i < 20 and i % 4 in (1, 2) else f"{i}" for i in range(40)]
    for seed in range(5):
        found = list(split(items, seed, same=same).values())
        assert all(len(set(found[i : i + 4])) == 1 for i in range(0, 20, 4))


def test_a_huge_group_does_not_take_a_whole_split():
    items = listed({"a": 100}, lambda label, i: "huge" if i < 60 else None)
    for seed in range(10):
        found = list(split(items, seed).values())
        assert found.count("train") >= 60 and found.count("test") == 20 and found.count("val") == 15


def test_groups_in_a_csv(tmp_path):
    root = two_classes(tmp_path / "pics", 12)
    lines = [f"pics/{name}/{i}.png,{name},g{i % 4}" for name in ("cats", "dogs") for i in range(1, 13)]
    dataset = load(table(tmp_path / "d.csv", "path,label,group", *lines))
    held = {name: {int(file.split("/")[1][:-4]) % 4 for file in names(stream, root)} for name, stream in dataset.streams.items()}
    assert sorted(group for groups in held.values() for group in groups) == [0, 1, 2, 3]


# The store ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    calls, read = [], images.read
    monkeypatch.setattr(images, "read", lambda path, size: calls.append(path) or read(path, size))
    return calls


def test_a_second_load_decodes_nothing(tmp_path, reads):
    root = two_classes(tmp_path / "d")
    first = load(root)
    assert len(reads) == 20
    second = load(root, seed=3, val_share=0.3)
    assert len(reads) == 20
    both = [{file: stream.pixels.take([i])[0] for stream in dataset.streams.values() for i, file in enumerate(stream.files)}
            for dataset in (first, second)]  # fmt: skip
    assert both[0].keys() == both[1].keys() and all((both[0][file] == both[1][file]).all() for file in both[0])
    assert [entry.what for entry in store.entries()] == ["pictures"]


@pytest.mark.parametrize("change", ["content", "size", "version", "damage"])
def test_what_changed_is_decoded_anew(tmp_path, monkeypatch, reads, change):
    root = two_classes(tmp_path / "d")
    load(root)
    if change == "content":
        Image.new("RGB", (9, 9), "red").save(root / "cats" / "4.png")
    if change == "version":
        monkeypatch.setattr(images, "VERSION", images.VERSION + 1)
    if change == "damage":
        (path,) = (tmp_path / "cache").glob("*.rows")
        path.write_bytes(b"\1" + path.read_bytes()[1:])
    dataset = streams.load(RunOptions(data=str(root)), SIZE + 1 if change == "size" else SIZE)
    assert len(reads) == 40
    if change == "content":
        (held,) = (stream for stream in dataset.streams.values() if str(root / "cats" / "4.png") in stream.files)
        assert held.pixels.take([held.files.index(str(root / "cats" / "4.png"))])[0, 0, 0].tolist() == [255, 0, 0]


def test_bad_pictures_are_remembered(tmp_path, reads):
    root = spoil(two_classes(tmp_path / "d"))
    with pytest.raises(UserError):
        load(root)
    before = len(reads)
    assert sum(sizes(load(root, on_bad="skip")).values()) == 20 and len(reads) == before


@pytest.mark.parametrize("worth", [1, 10_000])
def test_a_file_that_goes_before_it_is_decoded_is_not_remembered_as_bad(tmp_path, monkeypatch, worth):
    root, digests = two_classes(tmp_path / "d"), decode.digests
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", worth)
    gone = root / "cats" / "3.png"

    def then_hide(*arguments):
        found = digests(*arguments)
        gone.rename(root / "aside")
        return found

    monkeypatch.setattr(decode, "digests", then_hide)
    with pytest.raises(UserError, match=r"3\.png: cannot be opened"):
        load(root, on_bad="skip")
    monkeypatch.setattr(decode, "digests", digests)
    (root / "aside").rename(gone)
    assert sum(sizes(load(root)).values()) == 20


def test_copies_are_decoded_once(tmp_path, reads):
    root = two_classes(tmp_path / "d")
    for i in range(30):
        (root / "cats" / f"copy{i}.png").write_bytes((root / "cats" / "1.png").read_bytes())
    load(root)
    assert len(reads) == 20


def test_processes_decode_what_threads_do(tmp_path, monkeypatch):
    root = spoil(two_classes(tmp_path / "d", 30))
    if sys.platform == "linux":  # a name that is neither UTF-8 nor one line
        (root / "cats" / "1.png").rename(root / "cats" / "n\u00e4me \udcff\n.png")
    here = load(root, on_bad="skip")
    store.clear()
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("decoded in this process"))
    there = load(root, on_bad="skip")
    assert here.notes == there.notes and streams.split_rows(here) == streams.split_rows(there)
    for one, other in zip(here.streams.values(), there.streams.values(), strict=True):
        np.testing.assert_array_equal(one.pixels.take(np.arange(len(one))), other.pixels.take(np.arange(len(one))))


@pytest.mark.parametrize(
    "child", ["raise SystemExit(3)", "print('x', flush=True)", "import time; print('[[], []]', flush=True)", None]
)
def test_a_decoding_process_that_fails_is_replaced(tmp_path, monkeypatch, reads, child):
    monkeypatch.setattr(decode, "_WORTH_PROCESSES", 1)
    if child is None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    else:
        monkeypatch.setattr(workers, "CHILD", child)
    dataset = load(two_classes(tmp_path / "d"))
    assert len(reads) == 20 and sizes(dataset) == {"train": 12, "val": 4, "test": 4}


def test_progress_is_told_up_to_the_end(tmp_path):
    told = []
    load(two_classes(tmp_path / "d", 25), report=lambda *event: told.append(event))
    for what in ("checking files", "reading pictures"):
        done = [event[1] for event in told if event[0] == what]
        assert done == sorted(done) and done[-1] == 50 and len(done) > 1
    assert {event[2] for event in told} == {50}


def test_an_error_while_decoding_comes_out_and_leaves_nothing(tmp_path, monkeypatch):
    def broken(path, size):
        raise ZeroDivisionError

    monkeypatch.setattr(images, "read", broken)
    with pytest.raises(ZeroDivisionError):
        load(two_classes(tmp_path / "d"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_start_tells_layout_errors_at_once_and_others_with_the_result(tmp_path):
    with pytest.raises(UserError, match="no file or folder"):
        streams.start(RunOptions(data=str(tmp_path / "nowhere")), SIZE)
    root = two_classes(tmp_path / "d")
    assert sizes(streams.start(RunOptions(data=str(root)), SIZE).result()) == sizes(load(root))
    loading = streams.start(RunOptions(data=str(spoil(root))), SIZE)
    for _ in range(2):
        with pytest.raises(UserError, match="cannot be read"):
            loading.result()


LEAVE = """
import sys, time
import numpy as np
from tlapp.engine.data import streams
from tlapp.engine.inputs import images
from tlapp.engine.inputs.digits import digits
from tlapp.engine.options import RunOptions
images.read = lambda path, size: time.sleep(0.05) or np.zeros((size, size, 3), np.uint8)
streams.start(RunOptions(data=sys.argv[1]), 32)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("seconds, left", [(0.3, 0), (30, 1)])
def test_a_program_that_ends_while_loading_stops_the_load(tmp_path, seconds, left):
    root = two_classes(tmp_path / "d", 90)
    child = subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(root), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 30
    while left and not store.entries() and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:  # the load does go on while the program does
        child.kill()
    assert child.communicate(timeout=60)[0] == b"" and (left or child.returncode == 0)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".rows"] * left


def test_memory_stays_flat(tmp_path):
    """Peak memory of a load grows by far less than its pixels take."""
    code = (
        "import sys, resource; from tlapp.engine import data; from tlapp.engine.options import RunOptions\n"
        "d = streams.load(RunOptions(data=sys.argv[1]), int(sys.argv[2]))\n"
        "s = d.streams['train']; [s.pixels.take(range(i, i + 8)).sum() for i in range(0, len(s) - 8, 8)]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = two_classes(tmp_path / "d", 60)
    small, large = (
        int(subprocess.run([sys.executable, "-c", code, str(root), side], capture_output=True, text=True, check=True).stdout)
        for side in ("32", "640")
    )
    assert (large - small) * 1024 < 0.6 * 120 * 640 * 640 * 3


def test_a_finished_run_is_judged_on_known_classes(tmp_path):
    root = two_classes(tmp_path / "d", 3)
    stream, notes = streams.load_labelled("--data", str(root), ("birds", "cats", "dogs"), SIZE)
    assert stream.labels.tolist() == [1, 1, 1, 2, 2, 2] and notes == () and stream.name == "test"
    with pytest.raises(UserError, match=r"--data .*: cats"):
        streams.load_labelled("--data", str(root), ("dogs",), SIZE)
    _, notes = streams.load_labelled("--data", str(spoil(root)), ("cats", "dogs"), SIZE, on_bad="skip")
    assert "left out: 7" in notes[0]
