"""Trials: processes that are killed, memory that runs out, losses that are no numbers, clocks that go backwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from checks import NotStruck, check, check_nothing_half_written, check_same, check_sentence, weights
from workshop import ADAPTING, OFTEN, PLANS, Workshop

from tlapp.engine.runs import checkpoint
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError


def killed(shop: Workshop, seed: int) -> str:
    """kill -9 at random moments, then --resume: bit-identical to an uninterrupted run."""
    return killed_and_resumed(shop, seed, list(PLANS)[seed % len(PLANS)])


def killed_adapting(shop: Workshop, seed: int) -> str:
    """kill -9 in the strategies that learn from other pictures too: another domain's, or another task's; then as above."""
    return killed_and_resumed(shop, seed, list(ADAPTING)[seed % len(ADAPTING)])


def killed_and_resumed(shop: Workshop, seed: int, plan: str) -> str:
    """Kill a run of a plan, resume it, and compare."""
    dice = random.Random(seed)
    whole, cache = shop.whole(plan), shop.fresh("cache") if dice.random() < 0.5 else None
    folder = shop.fresh("killed")
    places = kills(shop, plan, folder, cache, (dice, 0.8 * shop.earlier * whole.seconds))
    if not places:
        raise NotStruck("it was done before it was killed")
    if not (folder / "metrics.json").exists():
        ended = shop.run(*shop.again(plan, folder), cache=cache, constants=OFTEN)
        check(ended.code == 0, ended.said)
    check_same(folder, whole.folder)
    return f"{plan}: resumed, equal to the bit (killed {', '.join(places)})"


def kills(shop: Workshop, plan: str, folder: Path, cache: Path | None, when: tuple[random.Random, float]) -> list[str]:
    """Kill a run up to three times, each within `when` seconds of its start or resume; where it was each time."""
    dice, latest = when
    places = []
    for _ in range(dice.randint(1, 3)):
        process = shop.start(*shop.again(plan, folder), cache=cache, constants=OFTEN)
        if dice.random() < 0.7:  # loading takes half of the time of these small runs
            process.until("plan:")
        time.sleep(dice.uniform(0.02, latest))
        process.kill()
        if process.wait().code != -signal.SIGKILL:
            break
        places.append(place(folder))
        check_unfinished(folder)
    return places


def place(folder: Path) -> str:
    """Where a run was when it was killed."""
    if not (folder / "splits.csv").is_file():
        return "before it began"
    if (folder / "model.keras").is_file():
        return "at its end"
    packs = checkpoint.read(folder / "checkpoints" / "state.npz")
    return f"in phase {packs['phase'].facts['number'] + 1}" if packs else "before its first checkpoint"


def check_unfinished(folder: Path) -> None:
    """A run that was killed has nothing half-written, and is not taken for a finished one."""
    check_nothing_half_written(folder, killed=True)
    if not (folder / "metrics.json").exists():
        with pytest.raises(UserError, match=r"did not finish|is not a run"):
            SavedRun(folder)


def out_of_memory(shop: Workshop, seed: int) -> str:
    """A limit on memory (RLIMIT_AS) below what the run needs."""
    dice, folder = random.Random(seed), shop.fresh("memory")
    more = int(shop.earlier * dice.uniform(100, 900)) << 20
    words = [*shop.train("full", folder), "--image-size", "512", "--batch-size", "1024"]
    ended = shop.run(*words, more_memory=more, cache=shop.fresh("cache"))
    check_nothing_half_written(folder, killed=ended.code < 0)
    if ended.code == 0:
        raise NotStruck("memory was enough")
    if ended.code < 0:
        said = ended.later("--image-size")
        check_sentence(ended._replace(said=said), "memory", "--batch-size", "--image-size", code=ended.code)
        return f"ended by the system ({signal.Signals(-ended.code).name}); told, with the settings to lower"
    check_sentence(ended, "memory", "--batch-size", "--image-size")
    return "told, with the settings to lower"


def no_number(shop: Workshop, seed: int) -> str:
    """A loss that is no number: the strategy's own from some step on, or by a weight decay far too high."""
    dice, folder = random.Random(seed), shop.fresh("nan")
    if seed % 2:
        words = [*shop.train("partial", folder), "--weight-decay", "1e38", "--warmup", "0"]
        ended = shop.run(*words, constants=OFTEN)
        check_sentence(ended, "phase tune, epoch ", "step ", "learning", "checkpoints/best.keras")
    else:
        words = turns_bad(shop, folder, dice.uniform(0.05, 0.95))
        ended = shop.run(*words, constants=OFTEN)
        check_sentence(ended, "phase bad, epoch ", "step ", "the loss is the strategy's own", "checkpoints/best.keras", code=3)
    check_nothing_half_written(folder)
    check(all_finite(folder), f"{folder}: a checkpoint that is no number")
    return "told, with phase, epoch and step; the best weights kept"


def turns_bad(shop: Workshop, folder: Path, at: float) -> list[str]:
    """Train by the strategy whose loss turns bad."""
    words = shop.train("a loss that draws", folder)
    words[words.index("draws")] = "turns-bad"
    return [*words, "--at", str(at)]


def all_finite(folder: Path) -> bool:
    """Whether the weights in what a run left are numbers."""
    values = weights(folder / "checkpoints" / "best.keras").values()
    packs = checkpoint.read(folder / "checkpoints" / "state.npz")
    arrays = packs["network"].arrays if "network" in packs else ()
    return bool(values) and all(np.isfinite(v).all() for v in [*values, *arrays])


def clock(shop: Workshop, seed: int) -> str:
    """A clock that begins yesterday and runs backwards, and a cache that was used tomorrow."""
    plan = list(PLANS)[seed % len(PLANS)]
    whole, folder, cache = shop.whole(plan), shop.fresh("clock"), shop.fresh("cache")
    for target in (shop.fresh("clock"), folder):
        ended = shop.run(*shop.train(plan, target), cache=cache, constants=OFTEN, clock="backwards")
        check(ended.code == 0, ended.said)
        for path in cache.iterdir():
            os.utime(path, (time.time() + 86_400,) * 2)
    check_same(folder, whole.folder)
    return "nothing noticed"


def worker(shop: Workshop, seed: int) -> str:
    """The processes that decode pictures are killed while they do."""
    dice, plan = random.Random(seed), "feature-extract"
    whole, folder = shop.whole(plan), shop.fresh("worker")
    constants = {"tlapp.engine.inputs.decode._WORTH_PROCESSES": 1}
    process = shop.start(*shop.train(plan, folder), cache=shop.fresh("cache"), constants=constants)
    killed = 0
    for _ in range(3):
        time.sleep(shop.earlier * dice.uniform(0.02, 0.4))
        for child in process.children("decode"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                killed += 1
    ended = process.wait()
    check(ended.code == 0, ended.said)
    check_same(folder, whole.folder)
    if not killed:
        raise NotStruck("it was done before a process that decodes was killed")
    return "finished, equal to the bit"
