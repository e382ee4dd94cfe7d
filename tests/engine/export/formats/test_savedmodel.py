"""A SavedModel answers as the trained model does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlapp.engine.export import metadata
from tlapp.engine.inputs import images
from tlapp.errors import UserError

SIZE = 32


def test_two_calls_are_equal_and_a_batch_changes_nothing(served, test_pictures):
    import tensorflow as tf

    batch = tf.constant(test_pictures[1][::4], tf.float32)  # of every class
    ask = served.signatures["serving_default"]
    first, again = ask(image=batch)["probabilities"].numpy(), ask(image=batch)["probabilities"].numpy()
    assert np.array_equal(first, again)
    alone = np.concatenate([ask(image=batch[i : i + 1])["probabilities"].numpy() for i in range(len(batch))])
    assert np.allclose(first, alone, atol=1e-5) and first.std(0).max() > 0.01


def test_a_server_finds_one_version(saved_model):
    # TensorFlow Serving takes the children of the base path whose names are numbers, and passes over all others.
    numbers = [path for path in Path(saved_model["folder"]).iterdir() if path.name.isdigit()]
    assert [path.name for path in numbers] == ["1"]
    assert {path.name for path in numbers[0].iterdir()} >= {"saved_model.pb", "variables", "assets"}


def test_uint8_equals_float(served, test_pictures):
    import tensorflow as tf

    whole = tf.constant(test_pictures[1][:8])
    floats = served.signatures["serving_default"](image=tf.cast(whole, tf.float32))["probabilities"].numpy()
    assert np.array_equal(served.signatures["serve_uint8"](image=whole)["probabilities"].numpy(), floats)
    assert np.array_equal(served(whole)["probabilities"].numpy(), floats)


def test_files_are_served_as_predicted(served, run, world):
    import tensorflow as tf

    files = sorted(str(path) for path in (world / "data").rglob("*.*"))
    assert {path.rpartition(".")[2] for path in files} == {"jpg", "png", "webp"}
    answer = served.signatures["serve_bytes"](contents=tf.stack([tf.io.read_file(file) for file in files]))
    said = run.predict(files, top=3)
    assert [name.decode() for name in answer["label"].numpy()] == [each.label for each in said]
    for each, row in zip(said, answer["probabilities"].numpy(), strict=True):
        assert all(abs(row[run.labels.index(label)] - p) < 0.05 for label, p in each.labels)


def test_labels_are_the_same_everywhere(saved_model, tflite, run):
    lines = (Path(saved_model["folder"]) / "1" / "assets" / "labels.txt").read_text().splitlines()
    assert tuple(lines) == run.labels == metadata.read_labels(f"{tflite['folder']}/model.tflite") == ("blue", "green", "red")


def square(content, size=SIZE):
    from tlapp.engine.inputs import decode_in_graph

    return decode_in_graph.square(content, size).numpy()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
def test_decoding_is_pillows(tmp_path, suffix, mode):
    if suffix == "jpg" and mode in ("RGBA", "LA", "P"):
        pytest.skip("JPEG has no such mode")
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 4), dtype=np.uint8), "RGBA")
    picture = noise.resize((70, 90), Image.Resampling.BICUBIC).convert("RGB" if mode == "P" else mode)
    path = tmp_path / f"a.{suffix}"
    (picture.convert("P") if mode == "P" else picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    difference = np.abs(square(path.read_bytes()) - images.read(str(path), SIZE))
    assert difference.mean() < 1.0 and difference.max() <= 6


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("how", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, how, order):
    noise = np.random.default_rng(how).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker", how
    exif.endian = "<" if order == "little" else ">"
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(path, exif=exif, quality=95)
    assert np.abs(square(path.read_bytes()) - images.read(str(path), SIZE)).mean() < 2


@pytest.mark.parametrize("cut", [7, 12, 16, 24, 36])
def test_a_damaged_exif_block_does_no_harm(cut):
    from tlapp.engine.inputs import decode_in_graph

    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40" + exif).numpy() == 6
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40" + exif[:cut]).numpy() == 1
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0\xff\xff\xff\xff" + exif).numpy() == 1


def test_a_random_operation_is_refused():
    import tensorflow as tf

    from tlapp.engine.export.formats.savedmodel import refuse_random

    noisy = tf.function(lambda x: x + tf.random.normal((3,)))
    with pytest.raises(UserError, match="random operation RandomStandardNormal"):
        refuse_random(noisy.get_concrete_function(tf.TensorSpec((3,))))
