"""Does `tlapp audit` find what was planted? Labels that were flipped, and copies that were re-encoded, resized or cropped.

    python benchmarks/audit.py OUT DATA... [--share 0.05] [--seeds 3] [--set key=value ...]

DATA are class folders, or train, val and test of them (all are put together). A share of the labels is drawn anew among the other
classes; of another share a copy is made: as JPEG of quality 60, at 70 % of its size, or without 5 % of each side, in turn.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from pathlib import Path

from domains import pairs
from PIL import Image

import tlapp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run")
    given = parser.parse_args()
    print("| data | pictures | flipped labels: recall | precision | copies: recall | false | s |\n" + "| --- " * 7 + "|")
    for data in given.data:
        for seed in range(given.seeds):
            place = given.out / f"{data.name}-{seed}"
            place.mkdir(parents=True)
            flipped, copies, table, count = planted(data, place, given.share, seed)
            began = time.perf_counter()
            found = tlapp.audit(table, **pairs(given.set))
            seconds = time.perf_counter() - began
            named = {Path(each["source"]).name for each in found["findings"] if each["kind"] == "label"}
            both = [
                frozenset((Path(each["source"]).name, Path(each["other"]).name))
                for each in found["findings"] if each["kind"] in ("copy", "leak", "conflict")
            ]  # fmt: skip
            false = [pair for pair in both if pair not in copies]
            recall, precision = (len(named & flipped) / max(len(part), 1) for part in (flipped, named))
            print(
                f"| {data.name} | {count} | {recall:.2f} | {precision:.2f} | "
                f"{sum(pair in copies for pair in both) / len(copies):.2f} | {len(false)} | {seconds:.0f} |", flush=True,
            )  # fmt: skip


def planted(data: Path, place: Path, share: float, seed: int) -> tuple[set[str], set[frozenset[str]], Path, int]:
    """Names of pictures with another label, pairs of names of copies, the table, and how many pictures it has."""
    draw = random.Random(seed)
    files = sorted(path for path in data.rglob("*") if path.is_file())
    classes = sorted({path.parent.name for path in files})
    rows, flipped, copies = [], set(), set[frozenset[str]]()
    for number, path in enumerate(files):
        name, label = f"{number:05d}{path.suffix}", path.parent.name
        (place / name).symlink_to(path.resolve())
        if draw.random() < share:
            label = draw.choice([each for each in classes if each != label])
            flipped.add(name)
        rows.append((name, label))
        if draw.random() < share:
            copy = f"{number:05d}-copy.{'jpg' if len(copies) % 3 == 0 else 'png'}"
            changed(path, len(copies) % 3).save(place / copy, **({"quality": 60} if copy.endswith("jpg") else {}))
            rows.append((copy, label))
            copies.add(frozenset((name, copy)))
            flipped |= {copy} if name in flipped else set()
    table = place / "data.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return flipped, copies, table, len(rows)


def changed(path: Path, way: int) -> Image.Image:
    """A copy: as it is, smaller, or without a margin."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    if way == 1:
        return picture.resize((max(1, round(0.7 * width)), max(1, round(0.7 * height))))
    if way == 2:
        return picture.crop((round(0.05 * width), round(0.05 * height), round(0.95 * width), round(0.95 * height)))
    return picture


if __name__ == "__main__":
    main()
