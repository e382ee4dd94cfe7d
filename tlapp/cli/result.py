"""What a finished run says of itself, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tlapp.engine.runs.folder import PREDICTIONS, PROBLEMS, REPORT
from tlapp.words import counted, with_flags

MOST_CLASSES = 10
"""Of a split that are shown one by one."""


def result_lines(folder: Path, metrics: Mapping[str, Any], problems: int = 0, noun: str = "picture") -> Iterator[str]:
    """The result for people; `problems`: how many were found with the data, whose examples are called `noun`."""
    for name in ("val", "test", "target", "aux", "query"):
        if split := metrics.get(name):
            yield split_line(name, split, noun)
    if drawn := metrics.get("episodes"):
        low, high = drawn["interval"]
        yield (
            f"other classes by {drawn['shot']} {noun}{'s' * (drawn['shot'] > 1)} each: accuracy {drawn['accuracy']:.4f} "
            f"({low:.4f} to {high:.4f}; {drawn['number']} episodes of {drawn['way']} classes)"
        )
    if adaptation := metrics.get("adaptation"):
        yield adaptation_line(adaptation)
    if (calibration := metrics.get("calibration")) and calibration["temperature"] != 1:
        yield calibration_line(calibration)
    if (unknown := metrics.get("unknown")) and unknown["test"]:
        asked = f"; {unknown['coverage']:.1%} were asked for"
        yield known_line("test", unknown["test"], noun) + asked
    if judged := next((name for name in ("test", "val") if metrics.get(name)), None):
        yield from class_lines(judged, metrics[judged], noun=noun)
    yield from verdict_lines(metrics, noun)
    seconds = metrics["seconds"]
    yield (
        f"{seconds['total']:.0f} s (front {seconds['front']:.0f}, train {seconds['train']:.0f}), "
        f"peak memory {metrics['peak_memory_mb']:.0f} MB"
    )
    if problems:
        yield f"{problems} problem{'s' * (problems > 1)} with the data: {folder / PROBLEMS}"
    if (predictions := folder / PREDICTIONS).is_file():
        first = "the largest errors" if judged and "r2" in metrics[judged] else "the surest mistakes"
        yield f"each answer, {first} first: {predictions}"
    if (report := folder / REPORT).is_file():
        yield f"to look at: {report}"
    yield f"run: {folder}"


def verdict_lines(metrics: Mapping[str, Any], noun: str = "picture") -> Iterator[str]:
    """What the run is beside baselines, for people; nothing where there are none."""
    if every := metrics.get("baselines", {}).get("cross_validated"):
        yield (
            f"all {every['n']} {noun}s, cross-validated: logistic regression on the frozen features has accuracy "
            f"{every['accuracy']:.4f}{_interval(every, 'accuracy')}"
        )
    if race := metrics.get("race"):
        adapts = any("target_score" in each for each in race["tried"].values())
        key, words = (
            ("target_score", "the target's score, higher is better")
            if adapts
            else ("val_loss", "calibrated loss on val, a later one if it is lower by a standard error")
        )
        tried = [f"{name} {each[key]:.4f}" for name, each in race["tried"].items()]
        tried += [f"{name} left early" for name in race.get("left", ())]
        yield f"race, by {words}: {', '.join(tried)}; kept: {race['kept']}"
    if sentence := metrics.get("verdict"):
        yield f"verdict: {with_flags(sentence)}"
    if leaks := metrics.get("leaks"):
        one, other = leaks["pairs"][0]
        yield (
            f"{leaks['count']} of {leaks['of']} test pictures look like training pictures but for encoding, size or a margin, "
            f"such as {one} and {other}: the figures on test are too good if they are copies; tlapp audit lists them"
        )


def class_lines(name: str, split: Mapping[str, Any], most: int = MOST_CLASSES, noun: str = "picture") -> Iterator[str]:
    """The classes of a split for people, those of the lowest recall first, up to `most`; a class without any is not one.

    Nothing where labels are numbers.
    """
    if "classes" not in split:
        return
    classes = {label: each for label, each in split["classes"].items() if each["n"]}
    worst = sorted(classes, key=lambda label: (classes[label]["recall"], classes[label]["precision"]))[:most]
    shown = f"{len(worst)} of {len(classes)} classes" if len(worst) < len(classes) else "classes"
    yield f"{name}: {shown}, the lowest recall first"
    width = max(map(len, worst), default=0)
    for label in worst:
        each = classes[label]
        recall = f"recall {each['recall']:.4f}{_interval(each, 'recall')}"
        yield f"  {label:{width}}  {recall}  precision {each['precision']:.4f}  ({counted(each['n'], noun)})"


def adaptation_line(adaptation: Mapping[str, Any]) -> str:
    """What adapting did, for people: by the score that chose and, where labels are known, by accuracy."""

    def words(key: str) -> str:
        known = f", accuracy {adaptation[key]['accuracy']:.4f}" if "accuracy" in adaptation[key] else ""
        return f"{adaptation[key]['score']:.3f}{known}"

    before, after = words("source_only"), words("adapted")
    oracle = f"; the labels would have chosen accuracy {adaptation['oracle']['accuracy']:.4f}" if "oracle" in adaptation else ""
    best = adaptation["adapted"]
    if not adaptation["helped"]:
        return f"adapted: no; by its score ({before}) the source-only model was the best, and it is kept{oracle}"
    return f"adapted: {best['phase']}, epoch {best['epoch']}; score {after}; source-only {before}{oracle}"


def calibration_line(calibration: Mapping[str, Any]) -> str:
    """What dividing by a temperature did, for people: on test, or else on val, which it was fitted on."""
    name = "test" if calibration["test"] else "val"
    errors = calibration["test"] or calibration
    change = f"{errors['ece_before']:.3f} to {errors['ece_after']:.3f}"
    return f"calibrated: temperature {calibration['temperature']:.2f}; expected calibration error on {name} from {change}"


def known_line(name: str, known: Mapping[str, Any], noun: str = "picture") -> str:
    """How many examples of known classes are called known, for people."""
    right = "" if known["accuracy_known"] is None else f"; accuracy on these {known['accuracy_known']:.4f}"
    return f"{name:6} known {known['coverage']:.1%}{_interval(known, 'coverage')} of {known['n']} {noun}s{right}"


def split_line(name: str, split: Mapping[str, Any], noun: str = "picture") -> str:
    """A split's metrics for people."""
    if "r2" in split:
        r2 = f"R2 {split['r2']:.4f}{_interval(split, 'r2')}"
        return f"{name:6} {r2}  MAE {split['mae']:.4g}  RMSE {split['rmse']:.4g}  ({counted(split['n'], noun)})"
    sets = f"micro F1 {split['micro_f1']:.4f}  mAP {split['map']:.4f}  " if "map" in split else ""
    return (
        f"{name:6} accuracy {split['accuracy']:.4f}{_interval(split, 'accuracy')}  balanced {split['balanced_accuracy']:.4f}  "
        f"macro F1 {split['macro_f1']:.4f}  {sets}loss {split['loss']:.4f}  ({counted(split['n'], noun)})"
    )


def _interval(split: Mapping[str, Any], metric: str) -> str:
    """The 95 % interval of a metric, for people; "" of runs from before there were any."""
    found = split.get(f"{metric}_interval")
    return f" ({found[0]:.2f} to {found[1]:.2f})" if found else ""
