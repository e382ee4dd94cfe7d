"""Load: many trainings in one process, and many pictures, by the tiny backbone; prints what they took as JSON.

python tests/faults/load.py trainings 20          what the process holds after each training
python tests/faults/load.py pictures 50000 224    seconds, and the most megabytes, of one training on pictures of that size
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
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
    print(json.dumps({"trainings": trainings, "pictures": many}[sys.argv[1]](*map(int, sys.argv[2:]))))
