"""Strategies, backbones and seeds on the same splits, side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tlapp.engine.advice.comparison import row
from tlapp.engine.export.export import REPORT
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import EXPORTS, RunFolder
from tlapp.errors import TlappError, UserError
from tlapp.settings import resolve
from tlapp.trials.trial import UNASKED, Trial, Workers, carry_out


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


def compare(
    every: Sequence[Kind], seeds: int, output: Path, reporter: Reporter, workers: Workers, phone: bool = False
) -> dict[str, Any]:
    """Train what is not there yet, and compare.

    A trial that fails is told, and costs no other one. What was stopped goes on where it was.

    Args:
        output: a folder for the trials' runs; given again, only what is missing is trained.
        phone: export the first seed's run of each kind to TFLite.

    Returns:
        rows: kind -> as `tlapp.engine.advice.comparison.row` and, for a phone, `on_phone`, first kind first; failed: [kind,
        seed, sentence]; plain: as `without_network` of the first kind's runs.
    """
    done: dict[str, dict[int, RunFolder]] = {}
    failed: list[list[Any]] = []
    of: dict[Path, tuple[Kind, int]] = {}
    for seed in range(seeds):
        for kind in every:
            of[output / f"{re.sub('[^a-zA-Z0-9]+', '-', kind.name).strip('-')}-{seed}"] = kind, seed
    trials = [
        Trial(f"{kind.name}, seed {seed}", {**UNASKED, **kind.settings, "seed": seed}, place)
        for place, (kind, seed) in of.items()
    ]
    for trial in trials:
        trial.must_fit()
    numbers = {trial.place: number for number, trial in enumerate(trials, start=1)}

    def begins(trial: Trial) -> None:
        reporter.note(f"{numbers[trial.place]} of {len(trials)}: {trial.name}{' (done)' if trial.done else ''}")

    for trial, sentence in carry_out(trials, workers, begins):
        kind, seed = of[trial.place]
        if sentence:
            failed.append([kind.name, seed, sentence])
            reporter.note(f"{trial.name}: {sentence}")
        else:
            done.setdefault(kind.name, {})[seed] = trial.run
    first = done.get(every[0].name, {})
    rows = {kind.name: row(done[kind.name], first) for kind in every if kind.name in done}
    if phone:
        rows = {name: {**each, **on_phone(done[name][min(done[name])], reporter)} for name, each in rows.items()}
    return {"rows": rows, "failed": sorted(failed), "folder": str(output), "plain": without_network(first)}


def without_network(runs: Mapping[int, RunFolder]) -> dict[str, Any] | None:
    """The mean accuracy, on the splits of some runs, of the classifier that needs no network; None where there is none."""
    found = [plain for run in runs.values() if (plain := run.metrics().get("baselines", {}).get("plain"))]
    return {"name": found[0]["name"], "accuracy": sum(each["accuracy"] for each in found) / len(found)} if found else None


def on_phone(run: RunFolder, reporter: Reporter) -> dict[str, Any]:
    """Export a run to TFLite, unless that was done, as `tlapp export` does; its bytes and milliseconds, None where it fails."""
    from tlapp.reuse import export

    place = run.file(EXPORTS) / "tflite"
    try:
        facts = json.loads((place / REPORT).read_text(encoding="utf-8")) if place.exists() else export(run.path, format="tflite")
    except TlappError as error:
        reporter.note(f"{run.path}: {error}")
        return {"tflite_bytes": None, "tflite_ms": None}
    return {"tflite_bytes": facts["check"]["bytes"], "tflite_ms": facts["check"]["latency"]["median_ms"]}


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The table, for people and for Markdown."""
    phone = any("tflite_bytes" in each for each in report["rows"].values())
    more = " TFLite MB | TFLite ms |" if phone else ""
    yield f"| | accuracy (95 %) | lowest | beside the first, points (95 %) | macro F1 | parameters trained | s | MB |{more}"
    yield "| --- " * (10 if phone else 8) + "|"
    for name, each in report["rows"].items():
        low, high = each["accuracy_interval"]
        gap = ""
        if each["difference"] is not None:
            below, above = (100 * end for end in each["difference_interval"])
            gap = f"{100 * each['difference']:+.1f} ({below:+.1f} to {above:+.1f})"
        accuracy = f"{each['accuracy']:.3f} ({low:.3f} to {high:.3f}) | {each['lowest']:.3f} | {gap}"
        cost = f"{each['trained']:,} | {each['seconds']:.0f} | {each['memory_mb']:.0f}"
        file = ""
        if phone:
            size, ms = each["tflite_bytes"], each["tflite_ms"]
            file = " | |" if size is None else f" {size / 1e6:.1f} | {ms:.1f} |"
        yield f"| {name} | {accuracy} | {each['macro_f1']:.3f} | {cost} |{file}"
    if plain := report.get("plain"):
        yield f"{plain['name']}, which needs no network, on the same splits: {plain['accuracy']:.3f}"
    for name, seed, sentence in report["failed"]:
        yield f"{name}, seed {seed}: {sentence}"
    yield f"runs: {report['folder']}"
