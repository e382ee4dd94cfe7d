"""Load: many trainings in one process, and many pictures, by the tiny backbone; prints what they took as JSON.

python tests/faults/load.py trainings 20          what the process holds after each training
python tests/faults/load.py pictures 50000 224    seconds, and the most megabytes, of one training on pictures of that size
python tests/faults/load.py listing 1000000       the same of listing so many tiny files, and of reading what they are
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RISE_MB = 1.0
"""What a training may leave behind in memory, beyond the first few; the graphs of one take 6."""
OBJECTS = 500
"""Objects that it may leave behind; the graphs of one are 7,000."""
WARM = 3
"""Trainings until what is made once is made."""
CAP_MB = 1024
"""What the training on 50,000 pictures of 224 pixels may take at most: their pixels alone are 7,178."""
LISTING_MB, LISTING_SECONDS = 600, 60
"""What a process may take to list 1,000,000 pictures, and to load what is known of them."""


def trainings(count: int) -> dict[str, Any]:
    """Train so many times; what the process holds after each: resident megabytes, Python's objects, TensorFlow's graphs."""
    from tlapp import api
    from tlapp.testing import pictures

    tiny()
    held: dict[str, list[int]] = {"megabytes": [], "objects": [], "graphs": []}
    with tempfile.TemporaryDirectory() as folder:
        data = pictures(Path(folder, "data"))
        for number in range(count):
            run = api.train(
                plugin="partial", data=str(data), run=f"{folder}/{number}", warmup=1, epochs=2, batch_size=8, seed=number
            )
            run.predict([next(data.rglob("*.png"))])
            del run
            for name, value in zip(held, (resident(), *alive()), strict=True):
                held[name].append(value)
    rise = (held["megabytes"][-1] - held["megabytes"][WARM - 1]) / max(count - WARM, 1)
    return {**held, "rise_each_mb": round(rise, 2)}


def alive() -> tuple[int, int]:
    """How many of Python's objects are alive, and of TensorFlow's graphs."""
    from tensorflow.python.framework import ops

    gc.collect()
    return len(gc.get_objects()), sum(isinstance(each, ops.Graph) for each in gc.get_objects())


def many(count: int, size: int) -> dict[str, Any]:
    """Train on so many JPEG and PNG pictures of `size` pixels a side."""
    from tlapp import api
    from tlapp.engine.run import peak_memory_mb

    tiny()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TLAPP_CACHE"] = f"{folder}/cache"
        draw(Path(folder, "data"), count, size)
        began = time.perf_counter()
        run = api.train(plugin="freeze", data=f"{folder}/data", run=f"{folder}/run", epochs=2, image_size=size)
        seconds = time.perf_counter() - began
        found = {name: run.metrics[name]["n"] for name in ("val", "test")}
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": round(seconds), "peak_mb": round(peak_memory_mb()), "peak_mb_of_a_decoder": round(children), **found}


def draw(folder: Path, count: int, size: int) -> None:
    """Write pictures, half of them JPEG and half PNG, each another one, in two classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        kind = ("JPEG", "PNG")[i % 2]
        path = folder / ("dark", "bright")[i // 2 % 2] / f"{i}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        low = 128 * (i // 2 % 2)
        small = Image.fromarray(rng.integers(low, low + 128, (7, 7, 3), np.uint8))
        picture, content = small.resize((size, size), Image.Resampling.NEAREST), io.BytesIO()
        picture.save(content, kind)
        path.write_bytes(content.getvalue())


def listing(count: int) -> dict[str, Any]:
    """List and load so many files twice, each time in a process of its own: the cache knows the pictures the second time."""
    with tempfile.TemporaryDirectory() as folder:
        scatter(Path(folder, "data"), count)
        os.environ["TLAPP_CACHE"] = f"{folder}/cache"
        return {time: in_a_process("load", f"{folder}/data") for time in ("first", "again")}


def load(data: str) -> dict[str, Any]:
    """Seconds, those of the CPUs, and the most megabytes, until files are listed, loaded, and written as a run does.

    Nothing is decoded: a stand-in says of each picture what decoding would, and the cache remembers it.
    """
    from tlapp.engine.data import streams
    from tlapp.engine.inputs import lazy_rows
    from tlapp.engine.inputs.images import Images
    from tlapp.engine.inputs.rows import Use
    from tlapp.engine.memory import peak_memory_mb
    from tlapp.engine.options import RunOptions
    from tlapp.engine.runs.folder import RunFolder

    options = RunOptions(data=data)
    lazy_rows.Decoders = Undecoded
    began, worked = time.perf_counter(), time.process_time()

    def so_far() -> tuple[float, float, int]:
        return round(time.perf_counter() - began, 1), round(time.process_time() - worked, 1), round(peak_memory_mb())

    found = {"imported": so_far()}
    listed = streams.list_sources(options, Images(8))
    streams.expected_counts(listed, options)
    found["listed"] = so_far()
    dataset = streams.start(listed, options, use=Use(keep=False)).result()
    found["loaded"] = so_far()
    del listed
    held, lines = resident(), dataset.inventory.listed
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(Path(folder)).write_data(lines)
        RunFolder(Path(folder)).write_splits(streams.split_rows(dataset))
    found["written"] = so_far()
    sizes = {name: len(stream) for name, stream in dataset.streams.items()}
    return {**found, "held_mb": held, **sizes, "problems": len(dataset.inventory.problems)}


class Undecoded:
    """Instead of `Decoders`: pictures whose digest is that of their path."""

    def __init__(self, examples: Any):
        self._shape = examples.tensors[0].shape

    def blocks(self, sources: list[str]) -> Iterator[Any]:
        from tlapp.engine.inputs.workers import Block

        for start in range(0, len(sources), 128):
            part = sources[start : start + 128]
            digests = [hashlib.blake2b(source.encode(), digest_size=16).hexdigest() for source in part]
            yield Block((np.zeros((len(part), *self._shape), np.uint8),), digests, {}, [(4, 4)] * len(part))

    def close(self) -> None:
        """There is nothing to close."""


def scatter(folder: Path, count: int) -> None:
    """Write PNG files of 4 pixels a side into ten classes, each another picture but for one in a thousand, a copy."""
    rng, rows = np.random.default_rng(0), b""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes([0, 0, 0, 4, 0, 0, 0, 4, 8, 2, 0, 0, 0]))
    for number in range(10):
        (folder / f"class-{number}").mkdir(parents=True)
    for i in range(count):
        rows = rows if i % 1000 == 999 else b"".join(b"\0" + rng.bytes(12) for _ in range(4))
        content = head + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
        with open(f"{folder}/class-{i * 10 // count}/IMG_{i:07}.png", "wb") as file:
            file.write(content)


def tiny() -> None:
    """Have every backbone be the tiny one."""
    from tlapp import registry
    from tlapp.testing import TinyBackbones

    registry.backbone = lambda identity, trust=False: (TinyBackbones(), "tiny")


def resident() -> int:
    """Megabytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def in_a_process(*words: object) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    jobs = {"trainings": trainings, "pictures": many, "listing": listing, "load": load}
    print(json.dumps(jobs[sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:]))))
