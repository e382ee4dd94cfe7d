"""Mutants of real pictures through the reader: each decodes to a picture or is named as bad.

python tests/faults/fuzz.py 5000 0        mutants and a seed; prints what became of them as JSON
"""

from __future__ import annotations

import collections
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from checks import check
from PIL import Image
from workshop import Workshop

from tlapp.engine.inputs import images
from tlapp.engine.memory import peak_memory_mb

SECONDS = 5.0
MEGABYTES = 2048
"""What reading one picture may take at most: the largest allowed, 100 million pixels, as RGBA and squashed."""
MUTANTS = 500
SIZE = 64
NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\x27\x10", b"\x10\x27\0\0")
"""What sizes in headers are changed to: none, the most, 10,000 in either order of bytes."""


def corpus() -> dict[str, bytes]:
    """Valid files of every format that is read, in the forms that cameras and programs write."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
    frames = [picture.rotate(90 * i) for i in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    sixteen = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    forms: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "a.jpg": (picture, {"quality": 90}), "b.jpg": (picture, {"progressive": True, "exif": exif}),
        "c.jpg": (picture.convert("CMYK"), {}), "d.jpg": (picture.convert("L"), {"optimize": True}),
        "a.png": (picture, {}), "b.png": (picture.convert("P"), {"transparency": 3}), "c.png": (sixteen, {}),
        "d.png": (picture.convert("RGBA"), {"save_all": True, "append_images": frames}), "e.png": (picture.convert("1"), {}),
        "a.gif": (picture, {}), "b.gif": (picture, {"save_all": True, "append_images": frames, "loop": 0}),
        "a.webp": (picture, {"quality": 80}), "b.webp": (picture, {"lossless": True, "exif": exif}),
        "c.webp": (picture.convert("RGBA"), {"save_all": True, "append_images": frames}),
        "a.bmp": (picture, {}), "b.bmp": (picture.convert("P"), {}), "c.bmp": (picture.convert("1"), {}),
        "a.tiff": (picture, {}), "b.tiff": (picture, {"compression": "tiff_lzw"}), "c.tiff": (sixteen, {}),
        "d.tiff": (picture, {"compression": "jpeg"}), "e.tiff": (picture.convert("F"), {"compression": "tiff_adobe_deflate"}),
        "f.tiff": (picture.convert("1"), {"compression": "group4"}), "g.tiff": (picture.convert("CMYK"), {"exif": exif}),
    }  # fmt: skip
    files = {}
    for name, (image, options) in forms.items():
        buffer = io.BytesIO()
        kind = {"jpg": "JPEG", "tiff": "TIFF"}.get(name.split(".")[1], name.split(".")[1].upper())
        image.save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    return files


def mutate(content: bytes, other: bytes, dice: random.Random) -> bytes:
    """A file changed in one to four of the ways in which disks, networks and malice change files."""
    found = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(found) or 1), dice.randint(1, 64)
        # Headers say sizes and offsets, so that changes at the front do most.
        at = at if dice.random() < 0.5 else min(at, dice.randrange(128))
        way = dice.randrange(8)
        if way == 0:
            found[at : at + 1] = bytes([found[at] ^ 1 << dice.randrange(8)]) if found else b""
        elif way == 1:
            found[at : at + length] = dice.randbytes(length)
        elif way == 2:
            del found[at:]
        elif way == 3:
            del found[at : at + length]
        elif way == 4:
            found[at:at] = dice.randbytes(length)
        elif way == 5:
            found[at:at] = found[at : at + length * 8]
        elif way == 6:
            found[at : at + 4] = dice.choice(NUMBERS)
        else:
            found[at:] = other[dice.randrange(len(other)) :]
    return bytes(found)


def read(path: Path) -> str:
    """What the reader makes of a file.

    Raises:
        AssertionError: something else than a picture or BadExample.
    """
    began = time.perf_counter()
    try:
        picture = images.read(str(path), SIZE)
        check(picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8, f"{path}: {picture.shape}")
        outcome = "decoded"
    except images.BadExample as error:
        check(bool(error.reason) and not error.passing and str(path) in str(error), f"{path}: {error}")
        outcome = "named as bad"
    check(time.perf_counter() - began < SECONDS, f"{path}: took {time.perf_counter() - began:.1f} s")
    return outcome


def main(mutants: int, seed: int) -> dict[str, Any]:
    """Read mutants; a fault keeps its file and ends the program."""
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES << 20,) * 2)
    dice, files = random.Random(seed), corpus()
    names, outcomes = list(files), collections.Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(mutants):
            name = names[number % len(names)]
            path = Path(folder) / name
            path.write_bytes(mutate(files[name], files[dice.choice(names)], dice))
            began = time.perf_counter()
            try:
                outcomes[read(path)] += 1
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"mutant-{seed}-{number}-{name}"
                kept.write_bytes(path.read_bytes())
                print(f"kept as {kept}", file=sys.stderr)
                raise
            slowest = max(slowest, time.perf_counter() - began)
    return {**outcomes, "slowest": round(slowest, 2), "peak_mb": round(peak_memory_mb())}


def in_a_process(mutants: int, seed: int) -> dict[str, Any]:
    """As `main`, in a process whose crash is seen."""
    command = [sys.executable, __file__, str(mutants), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    check(done.returncode == 0, f"{done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def mutants(shop: Workshop, seed: int) -> str:
    """500 mutants of JPEG, PNG, GIF, WebP, BMP and TIFF files a try, read within 5 s and 2 GiB each."""
    found = in_a_process(MUTANTS, seed)
    check(found["decoded"] + found["named as bad"] == MUTANTS, str(found))
    return "each decoded or named as bad"


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
