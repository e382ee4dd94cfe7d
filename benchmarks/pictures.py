"""Fashion-MNIST as class folders, out of Debian's package dataset-fashion-mnist (needs apt-get and dpkg-deb)."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
PACKAGE = "dataset-fashion-mnist"


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


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> None:
    for number in chosen:
        inside = folder / CLASSES[labels[number]]
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number]).save(inside / f"{number:05d}.png")


def _split(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    root = _package(folder)
    return _idx(next(root.rglob(f"{name}-images*"))), _idx(next(root.rglob(f"{name}-labels*")))


def _package(folder: Path) -> Path:
    """Download (not install) the Debian package and unpack it."""
    out = folder / PACKAGE
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"downloading Debian's package {PACKAGE}", file=sys.stderr)
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["dpkg-deb", "-x", next(folder.glob(f"{PACKAGE}_*.deb")).name, PACKAGE], cwd=folder, check=True)
    return out


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX format (LeCun, http://yann.lecun.com/exdb/mnist/): magic, one length a dimension, bytes."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = np.frombuffer(raw, ">u4", raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
