"""A cluster computes what this machine would, to the bit; what its workers lose is computed again, and only that."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import zlib

import numpy as np
import pytest
from helpers.fake_cluster import FakeCluster, RayError
from helpers.image_sets import pictures, spoil, two_classes
from helpers.shards import tar_of

from tlapp.cli.main import run as command
from tlapp.contracts import Augment, Fit, Plan
from tlapp.engine.data import streams
from tlapp.engine.inputs import packed
from tlapp.engine.inputs import workers as decoders
from tlapp.engine.inputs.decode import decode
from tlapp.engine.inputs.images import Images
from tlapp.engine.inputs.lazy_rows import LazyRows
from tlapp.engine.inputs.rows import Use
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.folder import HISTORY, SETTINGS, RunFolder
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones

QUIET = lambda task, done, of: None  # noqa: E731


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, tensorflow):
    from tlapp.engine.network import engines

    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "_remembered", {})
    monkeypatch.setattr(engines, "tried", lambda graph, boundaries: [engines.LITERT] * len(boundaries))


@pytest.fixture
def lite(monkeypatch):
    from tlapp.engine.network import engines

    monkeypatch.setattr(engines, "FEWEST", 1)


@pytest.fixture(scope="module")
def tiny(tensorflow):
    return TinyBackbones().load("tiny")


@pytest.fixture
def root(tmp_path):
    return spoil(two_classes(tmp_path / "d", 60))


def found(root, tiny, cluster, monkeypatch, augment=None):
    """Where each picture goes, what is wrong with some, and what the front gives for all of them, at two cuts."""
    from tlapp.engine.network.activations import Remembered
    from tlapp.engine.network.cut import cut, whole
    from tlapp.engine.training.first_pass import FirstPass

    if cluster is not None:
        monkeypatch.setitem(sys.modules, "ray", cluster.ray)
    options = RunOptions(data=str(root), on_bad="skip")
    first = FirstPass(options, QUIET, cluster)
    plan = Plan((Fit(name="top", rates=tiny.facts.last(1), epochs=1, learning_rate=1e-3),))
    first.begin(tiny, plan, tiny.graph, [whole(tiny.graph, tiny.stage_of)])
    dataset = streams.load(options, Images(SIZE), use=first.use)
    remembered = Remembered(tiny.graph, dataset.streams["train"].examples.tables, options, QUIET, cluster)
    cuts = [cut(tiny.graph, tiny.facts.last(1), tiny.stage_of), whole(tiny.graph, tiny.stage_of)]
    remembered.expect([(each, augment) for each in cuts])
    rows = np.arange(remembered.count)
    values = [array for each in cuts for array in remembered.source(each, rows, augment).take(rows, 0)]
    return streams.split_rows(dataset), dataset.inventory, values


def is_same(one, other):
    return one[:2] == other[:2] and all(np.array_equal(a, b) for a, b in zip(one[2], other[2], strict=True))


def elsewhere(monkeypatch, tmp_path, name="other"):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / name))


@pytest.mark.parametrize("few", [1, 10**9], ids=["litert", "tensorflow"])
def test_the_same_to_the_bit(root, tiny, tmp_path, monkeypatch, few):
    from tlapp.engine.network import engines

    monkeypatch.setattr(engines, "FEWEST", few)
    alone, cluster = found(root, tiny, None, monkeypatch), FakeCluster()
    assert len(alone[1].problems) == 7 and alone[2][0].std() > 0
    elsewhere(monkeypatch, tmp_path)
    assert is_same(found(root, tiny, cluster, monkeypatch), alone)
    assert [len(contents) for _, _, contents, _ in cluster.asked] == [32, 32, 32, 28] and cluster.most == 4
    again = FakeCluster()
    assert is_same(found(root, tiny, again, monkeypatch), alone) and not again.asked
    pictures(root / "dogs", 63)  # three more; LiteRT's rows of the others are known, but for the bad ones, which are tried again
    grown = FakeCluster()
    more = found(root, tiny, grown, monkeypatch)
    assert sum(len(contents or arrays[0]) for _, _, contents, arrays in grown.asked) == (7 if few == 1 else 127)
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "third"))
    assert is_same(more, found(root, tiny, None, monkeypatch))


def test_pictures_of_a_shard_travel_too(tiny, tmp_path, monkeypatch, lite):
    shard = tar_of(two_classes(tmp_path / "d", 20), tmp_path / "a.tar")
    alone, cluster = found(shard, tiny, None, monkeypatch), FakeCluster()
    elsewhere(monkeypatch, tmp_path)
    assert is_same(found(shard, tiny, cluster, monkeypatch), alone) and sum(len(asked[2]) for asked in cluster.asked) == 40


def test_tensorflow_on_a_worker_has_the_threads_of_the_driver(tiny, tensorflow, monkeypatch):
    from tlapp.engine.network.front import Front

    told = []
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    monkeypatch.setattr(tensorflow.config.threading, "set_intra_op_parallelism_threads", told.append)
    Front(tiny.graph, tiny.graph.outputs).folded.front()
    assert told == [5]


def test_what_lies_in_no_files_travels_as_arrays(tiny, tmp_path, monkeypatch, lite):
    root, views = two_classes(tmp_path / "d", 20), Augment(lambda batch, seed: batch / (1 + seed % 2), views=2)
    monkeypatch.setattr(LazyRows, "in_files", False)
    for augment in (None, views):
        elsewhere(monkeypatch, tmp_path, f"{augment}")
        cluster = FakeCluster()
        theirs = found(root, tiny, cluster, monkeypatch, augment)
        _, _, contents, arrays = cluster.asked[-1]
        assert contents is None and arrays[0].shape[1:] == (SIZE, SIZE, 3)
        elsewhere(monkeypatch, tmp_path, f"{augment} alone")
        assert is_same(theirs, found(root, tiny, None, monkeypatch, augment))


def test_what_is_lost_is_computed_here_and_only_that(root, tiny, tmp_path, monkeypatch, lite):
    alone = found(root, tiny, None, monkeypatch)
    asked, ask = [], decoders.ProcessDecoder.decode
    monkeypatch.setattr(decoders.ProcessDecoder, "decode", lambda self, sources: asked.append(len(sources)) or ask(self, sources))

    def lose(number):
        if number == 1:
            raise RayError

    elsewhere(monkeypatch, tmp_path)
    cluster = FakeCluster(lose)
    assert is_same(found(root, tiny, cluster, monkeypatch), alone)
    assert len(cluster.asked) == 4 and cluster.lost == 32 and asked == [32]


def test_a_worker_of_other_versions_or_that_fails_is_told(root, tiny, monkeypatch, lite):
    from tlapp.engine.network import cluster_front

    def fail(number):
        raise ModuleNotFoundError("No module named 'tlapp'")

    with pytest.raises(UserError, match="a worker failed: ModuleNotFoundError: No module named 'tlapp'"):
        found(root, tiny, FakeCluster(fail), monkeypatch)
    made = iter([{"pillow": "12.0"}, {"pillow": "11.0"}])
    monkeypatch.setattr(cluster_front, "versions", lambda *told: next(made))
    with pytest.raises(UserError, match=r"a worker has pillow 11.0, this machine 12.0; install the same on all machines"):
        found(root, tiny, FakeCluster(), monkeypatch)


def test_a_worker_ends_by_itself_where_a_picture_takes_too_long(tmp_path, monkeypatch):
    from tlapp.engine.network import cluster_front

    ended = threading.Event()
    monkeypatch.setattr(cluster_front, "SECONDS", 0.01)
    monkeypatch.setattr(cluster_front, "decode", lambda examples, contents: ended.wait(10) and decode(examples, contents))
    monkeypatch.setattr(os, "_exit", lambda code: ended.set())
    content = (pictures(tmp_path / "d", 1) / "1.png").read_bytes()
    arrays, block = cluster_front._decoded(packed(Images(SIZE)), [content])
    assert ended.is_set() and arrays[0].shape == (1, SIZE, SIZE, 3) and block.shapes == [(6, 6)] and not block.arrays


def test_a_picture_that_changed_is_told(tiny, tmp_path, monkeypatch, lite):
    root, contents = two_classes(tmp_path / "d", 20), LazyRows.contents
    streams.load(RunOptions(data=str(root)), Images(SIZE), use=Use(False))
    monkeypatch.setattr(LazyRows, "contents", lambda self, numbers: contents(self, numbers)[::-1])
    with pytest.raises(UserError, match="has changed since this run first read it"):
        found(root, tiny, FakeCluster(), monkeypatch)


def dying(folder):
    """As `compute`, whose first process is killed; each call leaves a file."""

    def task(work, reader, contents, arrays):
        from tlapp.engine.network.cluster_front import compute

        (folder / f"{os.getpid()} {zlib.crc32(contents[0])}").touch()
        with contextlib.suppress(FileExistsError):
            (folder / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(work, reader, contents, arrays)

    return task


def test_a_killed_worker_costs_its_shard_and_a_run_is_the_same(
    ray_of_two, lite, shapes, tiny_network, tmp_path, monkeypatch, capfd
):
    from tlapp.engine.network import cluster_front

    calls = tmp_path / "calls"
    calls.mkdir()
    monkeypatch.setattr(cluster_front, "compute", dying(calls))
    shared = [
        "train",
        "--plugin",
        "freeze",
        "--epochs",
        "1",
        "--report",
        "off",
        "--data",
        str(shapes),
        "--backbone",
        tiny_network,
    ]
    for name, words in (("ray", ["--on", "ray"]), ("alone", [])):
        elsewhere(monkeypatch, tmp_path, f"cache {name}")
        assert command([*shared, "--run", str(tmp_path / name), *words]) == 0, capfd.readouterr().err
    ours, theirs = (RunFolder(tmp_path / name) for name in ("alone", "ray"))
    for file in (HISTORY, SETTINGS):
        assert ours.file(file).read_bytes() == theirs.file(file).read_bytes()
    assert len([*calls.iterdir()]) == 1 + 2 + 1  # of two shards one was done twice
    assert "were lost" not in capfd.readouterr().err
