"""Trials: runs of several strategies, backbones and seeds on the same splits, each in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tlapp.engine.advice.comparison import row
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import METRICS, SETTINGS, SPLITS, RunFolder
from tlapp.errors import TlappError, UserError
from tlapp.settings import resolve


class Kind(NamedTuple):
    """What is compared: a strategy with options of its own, such as "partial:last=3", and a backbone, None for the default."""

    name: str
    settings: Mapping[str, Any]


def kinds(plugins: Sequence[str], backbones: Sequence[str], shared: Mapping[str, Any]) -> list[Kind]:
    """Every strategy with every backbone.

    Raises:
        UserError: there is no such strategy or option, or two are the same.
    """
    found: dict[str, Kind] = {}
    for backbone in backbones or ("",):
        for plugin in plugins:
            name, _, own = plugin.partition(":")
            options = dict(part.partition("=")[::2] for part in own.split(",") if part)
            label = f"{plugin} on {backbone}" if backbone else plugin
            settings = {**shared, "plugin": name, **options, **({"backbone": backbone} if backbone else {})}
            if label in found:
                raise UserError(f"{label} is named twice", plugin, option="plugins")
            try:
                resolve(settings)
            except TlappError as error:
                raise UserError(f"{label}: {error}", plugin, option="plugins") from error
            found[label] = Kind(label, settings)
    return list(found.values())


def carry_out(every: Sequence[Kind], seeds: int, output: Path, reporter: Reporter) -> dict[str, Any]:
    """Train what is not there yet, and compare.

    A trial that fails is told, and costs no other one. What was stopped goes on where it was.

    Args:
        output: a folder for the trials' runs; given again, only what is missing is trained.

    Returns:
        rows: kind -> as `tlapp.engine.advice.comparison.row`, first kind first; failed: [kind, seed, sentence].
    """
    done: dict[str, dict[int, RunFolder]] = {}
    failed: list[list[Any]] = []
    number, count = 0, len(every) * seeds
    for seed in range(seeds):
        for kind in every:
            number += 1
            place = RunFolder(output / f"{re.sub('[^a-zA-Z0-9]+', '-', kind.name).strip('-')}-{seed}")
            reporter.note(f"{number} of {count}: {kind.name}, seed {seed}{' (done)' if place.has(METRICS) else ''}")
            if sentence := _trained(kind, seed, place):
                failed.append([kind.name, seed, sentence])
                reporter.note(f"{kind.name}, seed {seed}: {sentence}")
            else:
                done.setdefault(kind.name, {})[seed] = place
    first = done.get(every[0].name, {})
    rows = {kind.name: row(done[kind.name], first) for kind in every if kind.name in done}
    return {"rows": rows, "failed": failed, "folder": str(output)}


def _trained(kind: Kind, seed: int, place: RunFolder) -> str:
    """Train one in a process of its own, unless it is there; why it failed, or ""."""
    if place.has(METRICS):
        return ""
    if place.has(SETTINGS) and place.has(SPLITS):
        arguments = ["--resume", str(place.path)]
    else:
        shutil.rmtree(place.path, ignore_errors=True)
        settings = {**kind.settings, "seed": seed, "run": str(place.path)}
        arguments = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items() if value is not None]
    place.path.parent.mkdir(parents=True, exist_ok=True)
    log = place.path.with_name(f"{place.path.name}.log")
    with open(log, "a", encoding="utf-8") as file:
        child = subprocess.run(  # noqa: S603 - this interpreter, on our own program
            [sys.executable, "-m", "tlapp", "train", *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=False,
        )  # fmt: skip
    if child.returncode in (130, -2):
        raise KeyboardInterrupt
    if child.returncode:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if line.startswith("tlapp: ")), lines[-1] if lines else "")
        return f"failed with exit code {child.returncode}: {said.removeprefix('tlapp: ')} (see {log})"
    return ""


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The table, for people and for Markdown."""
    yield "| | accuracy (95 %) | lowest | beside the first, points (95 %) | macro F1 | parameters trained | s | MB |"
    yield "| --- " * 8 + "|"
    for name, each in report["rows"].items():
        low, high = each["accuracy_interval"]
        gap = ""
        if each["difference"] is not None:
            below, above = (100 * end for end in each["difference_interval"])
            gap = f"{100 * each['difference']:+.1f} ({below:+.1f} to {above:+.1f})"
        accuracy = f"{each['accuracy']:.3f} ({low:.3f} to {high:.3f}) | {each['lowest']:.3f} | {gap}"
        cost = f"{each['trained']:,} | {each['seconds']:.0f} | {each['memory_mb']:.0f}"
        yield f"| {name} | {accuracy} | {each['macro_f1']:.3f} | {cost} |"
    for name, seed, sentence in report["failed"]:
        yield f"{name}, seed {seed}: {sentence}"
    yield f"runs: {report['folder']}"
