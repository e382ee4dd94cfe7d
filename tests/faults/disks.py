"""Trials: disks that are full or read-only, pictures that go, caches that are damaged."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from pathlib import Path

from checks import (
    Ended,
    NotStruck,
    check,
    check_entries,
    check_nothing_aside,
    check_nothing_half_written,
    check_same,
    check_sentence,
    small_disk,
)
from workshop import OFTEN, Workshop

PLAN = "partial"
NAMED = ("cannot be written", "needed", "No space left", "File too large")


def check_told(ended: Ended) -> None:
    """A process ended with a sentence about a disk."""
    check_sentence(ended)
    check(any(word in ended.said for word in NAMED), ended.said)


def less(shop: Workshop, amount: int) -> int:
    """So much room, or less where a fault struck too late before."""
    return max(1, int(shop.earlier * amount))


def full_cache(shop: Workshop, seed: int) -> str:
    """The disk of the cache is full while it is written."""
    dice, whole, folder, disk = random.Random(seed), shop.whole(PLAN), shop.fresh("full"), shop.fresh("disk")
    with small_disk(disk, 4096 * less(shop, dice.randint(1, 60))) as enlarge:
        limit = {} if enlarge and seed % 2 else {"file_bytes": less(shop, dice.randint(2_000, 140_000))}
        ended = shop.run(*shop.train(PLAN, folder), cache=disk, **limit)
        if ended.code:
            check_told(ended)
        check_nothing_aside(disk)
        check_nothing_half_written(folder)
        check_entries(disk)
        if enlarge:
            enlarge("64m")
        return _mended(shop, ended, folder, whole.folder, disk)


def full_run(shop: Workshop, seed: int) -> str:
    """The disk of the run is full while checkpoints, history and model are written."""
    dice, whole, disk = random.Random(seed), shop.whole(PLAN), shop.fresh("disk")
    with small_disk(disk, 4096 * max(2, less(shop, dice.randint(2, 80)))) as enlarge:
        folder = disk / "run"
        limit = {} if enlarge and seed % 2 else {"file_bytes": less(shop, dice.randint(300, 90_000))}
        ended = shop.run(*shop.train(PLAN, folder), constants=OFTEN, **limit)
        if ended.code:
            check_told(ended)
        check_nothing_half_written(folder)
        if enlarge:
            enlarge("64m")
        return _mended(shop, ended, folder, whole.folder)


def _mended(shop: Workshop, ended: Ended, folder: Path, whole: Path, cache: Path | None = None) -> str:
    """Once there is room, the run goes on to the same end."""
    if ended.code:
        again = shop.run(*shop.again(PLAN, folder), cache=cache, constants=OFTEN)
        check(again.code == 0, again.said)
    check_same(folder, whole)
    if not ended.code:
        raise NotStruck("there was room enough")
    return "told; with room it went on, equal to the bit"


def full_export(shop: Workshop, seed: int) -> str:
    """The disk is full while an export is written."""
    dice, whole, disk = random.Random(seed), shop.whole(PLAN), shop.fresh("disk")
    kind = ("keras", "tflite", "savedmodel")[seed // 2 % 3]
    with small_disk(disk, 4096 * less(shop, dice.randint(1, 20))) as enlarge:
        limit = {} if enlarge and seed % 2 else {"file_bytes": less(shop, dice.randint(500, 40_000))}
        words = ["export", whole.folder, "--format", kind, "--output", disk / "out"]
        ended = shop.run(*words, **limit)
        if ended.code == 0:
            check((disk / "out" / "export.json").is_file(), "no export.json")
            raise NotStruck("there was room enough")
        check_sentence(ended)
        check(any(word in ended.said for word in (*NAMED, "does not load and run")), ended.said)
        check(list(disk.iterdir()) == [], f"left over: {list(disk.iterdir())}")
        if enlarge:
            enlarge("64m")
        again = shop.run(*words)
        check(again.code == 0, again.said)
        return "told, nothing left; with room it was written"


def read_only(shop: Workshop, seed: int) -> str:
    """A folder that may not be written: of the run, of the cache, of an export; or a file in its place."""
    whole, place = shop.whole(PLAN), shop.fresh("locked")
    if seed % 2:
        place.write_text("a file")
    else:
        place.mkdir(mode=0o555)
    what = ("run", "cache", "export")[seed // 2 % 3]
    if what == "export":
        ended = shop.run("export", whole.folder, "--format", "keras", "--output", place / "out", powers="none")
    elif what == "cache":
        ended = shop.run(*shop.train(PLAN, shop.fresh("run")), cache=place / "cache", powers="none")
    else:
        ended = shop.run(*shop.train(PLAN, place / "run"), powers="none")
    reasons = ("Not a directory", "File exists") if seed % 2 else ("Permission denied",)
    check_sentence(ended, str(place))
    check(any(reason in ended.said for reason in reasons), ended.said)
    return f"{what}: told"


def vanishing(shop: Workshop, seed: int) -> str:
    """Pictures go while the run reads them; or all of them, once they are read."""
    dice, data, folder = random.Random(seed), shop.fresh("pictures"), shop.fresh("vanishing")
    shutil.copytree(shop.shapes, data)
    for copy in range(6):  # more to read: bytes after the end of a PNG are ignored and make another file of it
        for path in shop.shapes.rglob("*.png"):
            (data / path.parent.name / f"{path.stem}-{copy}.png").write_bytes(path.read_bytes() + bytes([copy]))
    process = shop.start(*shop.train("feature-extract", folder, data), cache=shop.fresh("cache"))
    if seed % 3 == 0:
        process.until("plan:")
        shutil.rmtree(data)
    else:
        for path in dice.sample(sorted(data.rglob("*.png")), 20):
            time.sleep(shop.earlier * dice.uniform(0, 0.06))
            path.unlink()
    ended = process.wait()
    check_nothing_half_written(folder)
    if ended.code == 0:
        if seed % 3:
            raise NotStruck("all had been read before they went")
        return "gone once they were read: finished"
    check_sentence(ended, ".png", "No such file")
    return "told, with their names"


def damaged_cache(shop: Workshop, seed: int) -> str:
    """A file of the cache cut short, or a bit of it turned over, between two runs."""
    dice, whole, cache, folder = random.Random(seed), shop.whole(PLAN), shop.fresh("cache"), shop.fresh("damaged")
    ended = shop.run(*shop.train(PLAN, shop.fresh("first")), cache=cache)
    check(ended.code == 0, ended.said)
    how = ("cut short", "a bit turned over")[seed % 2]
    for path in cache.glob("*.rows"):
        content = bytearray(path.read_bytes())
        if how == "cut short":
            del content[dice.randrange(len(content)) :]
        else:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    ended = shop.run(*shop.train(PLAN, folder), cache=cache)
    check(ended.code == 0, ended.said)
    check_same(folder, whole.folder)
    check_entries(cache)
    return f"{how}: noticed, made anew, equal to the bit"


def cut_in_use(shop: Workshop, seed: int) -> str:
    """A file of the cache cut short while a run reads it."""
    dice, whole, cache, folder = random.Random(seed), shop.whole(PLAN), shop.fresh("cache"), shop.fresh("cut")
    constants = {**OFTEN, "tlapp.engine.network.sources.MEMORY": 0}
    process = shop.start(*shop.train(PLAN, folder), cache=cache, constants=constants)
    process.until("1: loss")  # pictures are not kept, so that nothing is read before the first epoch
    time.sleep(shop.earlier * dice.uniform(0, 0.3 * whole.seconds))
    for path in cache.glob("*.rows"):
        with contextlib.suppress(OSError), open(path, "rb+") as file:
            file.truncate(dice.randrange(path.stat().st_size))
    ended = process.wait()
    check_nothing_half_written(folder)
    if ended.code:
        check_sentence(ended, "cache")
        again = shop.run(*shop.again(PLAN, folder), cache=cache, constants=constants)
        check(again.code == 0, again.said)
    check_same(folder, whole.folder)
    if not ended.code:
        raise NotStruck("nothing was read from the file any more")
    return "told; --resume went on, equal to the bit"


def together(shop: Workshop, seed: int, runs: int = 2) -> str:
    """Runs at once that write the same entries of one cache."""
    whole, cache = shop.whole(PLAN), shop.fresh("cache")
    folders = [shop.fresh("together") for _ in range(runs)]
    processes = [shop.start(*shop.train(PLAN, folder), cache=cache) for folder in folders]
    for process, folder in zip(processes, folders, strict=True):
        ended = process.wait()
        check(ended.code == 0, ended.said)
        check_same(folder, whole.folder)
    check_entries(cache)
    check_nothing_aside(cache)
    return f"{runs} runs, each equal to the bit"
