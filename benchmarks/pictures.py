"""Fashion-MNIST and photographs of stamps as class folders, out of Debian's packages (needs apt-get and dpkg-deb).

python benchmarks/pictures.py OUT       # OUT/fashion-2000, OUT/fashion-2000-unlabelled (6,000 others), OUT/stamps
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
FASHION = "dataset-fashion-mnist"
STAMPS = "tuxpaint-stamps-default"
KINDS = ("animals", "food", "plants", "vehicles", "town")


def fashion(folder: Path, train: int, test: int = 1000) -> Path:
    """Write FOLDER/fashion-TRAIN/{train,val,test}/CLASS/*.png: `train` pictures, a tenth as many to validate, `test` to test."""
    out = folder / f"fashion-{train}"
    if out.exists():
        return out
    aside = folder / f".fashion-{train}.tmp"
    images, labels = _split(folder, "train")
    order = np.random.default_rng(0).permutation(len(images))
    _write(aside / "train", images, labels, order[:train])
    _write(aside / "val", images, labels, order[train : train + train // 10])
    images, labels = _split(folder, "t10k")
    _write(aside / "test", images, labels, np.random.default_rng(0).permutation(len(images))[:test])
    aside.rename(out)
    return out


def unlabelled(folder: Path, train: int, count: int) -> Path:
    """Write FOLDER/fashion-TRAIN-unlabelled/*.png: `count` pictures that `fashion` with as many to train leaves alone."""
    out = folder / f"fashion-{train}-unlabelled"
    if out.exists():
        return out
    aside = folder / f".fashion-{train}-unlabelled.tmp"
    aside.mkdir(parents=True)
    images, _ = _split(folder, "train")
    used = train + train // 10
    for number in np.random.default_rng(0).permutation(len(images))[used : used + count]:
        Image.fromarray(images[number]).save(aside / f"{number:05d}.png")
    aside.rename(out)
    return out


def stamps(folder: Path, size: int = 224) -> Path:
    """Write FOLDER/stamps/{train,val,test}/CLASS/*.png: Tux Paint's photographs on white, 65, 15 and 20 % of each class."""
    out = folder / "stamps"
    if out.exists():
        return out
    aside = folder / ".stamps.tmp"
    root = package_of(folder, STAMPS) / "usr/share/tuxpaint/stamps"
    for kind in KINDS:
        paths = sorted((root / kind).rglob("*.png"))
        order = np.random.default_rng(0).permutation(len(paths))
        for place, number in enumerate(order):
            split = "test" if place < 0.2 * len(paths) else "val" if place < 0.35 * len(paths) else "train"
            inside = aside / split / kind
            inside.mkdir(parents=True, exist_ok=True)
            on_white(paths[number], size).save(inside / f"{number:05d}.png")
    aside.rename(out)
    return out


def on_white(path: Path, size: int) -> Image.Image:
    """A picture in the middle of a white square."""
    picture = Image.open(path).convert("RGBA")
    square = Image.new("RGBA", (max(picture.size),) * 2, (255, 255, 255, 255))
    square.alpha_composite(picture, ((square.width - picture.width) // 2, (square.height - picture.height) // 2))
    return square.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> None:
    for number in chosen:
        inside = folder / CLASSES[labels[number]]
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number]).save(inside / f"{number:05d}.png")


def _split(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    root = package_of(folder, FASHION)
    return _idx(next(root.rglob(f"{name}-images*"))), _idx(next(root.rglob(f"{name}-labels*")))


def package_of(folder: Path, package: str) -> Path:
    """Download (not install) the Debian package and unpack it."""
    out = folder / package
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"downloading Debian's package {package}", file=sys.stderr)
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["dpkg-deb", "-x", next(folder.glob(f"{package}_*.deb")).name, package], cwd=folder, check=True)
    return out


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX format (LeCun, http://yann.lecun.com/exdb/mnist/): magic, one length a dimension, bytes."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = np.frombuffer(raw, ">u4", raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    fashion(place, 2000)
    unlabelled(place, 2000, 6000)
    stamps(place)
