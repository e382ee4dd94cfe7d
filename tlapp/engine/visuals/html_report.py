"""The report of a finished run: one page that needs no other file, no network and no script."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path, PurePath
from shlex import quote
from typing import Any

from tlapp.engine.runs.folder import PREDICTIONS, REPORT, SETTINGS, RunFolder, replacing
from tlapp.engine.visuals import sections
from tlapp.engine.visuals.data_sheet import data_sheet
from tlapp.engine.visuals.run_facts import Answer, RunFacts, check_finished, run_facts
from tlapp.engine.visuals.thumbnails import NONE, Gallery, thumbnails
from tlapp.errors import UserError
from tlapp.words import bytes_in_words, flag, printable, with_flags

LONGEST = 240
"""Characters that are shown of an example that is no file."""
BASELINES = {
    "majority": "always the most frequent class", "neighbours": "five nearest neighbours on the frozen features",
    "logistic": "logistic regression on the frozen features", "scratch": "the same network from random weights",
    "origin": "the same from the backbone as it was before an earlier task",
}  # fmt: skip


def write_report(files: RunFolder, gallery: Gallery, output: Path | None = None, images: bool = True) -> Path:
    """Write the report of a finished run, whole or not at all.

    Args:
        output: the file; None for report.html in the run's folder.
        images: False leaves out the examples, and their names.

    Returns:
        The file.

    Raises:
        UserError: the run did not finish, or the file cannot be written.
    """
    check_finished(files)
    path = output or files.file(REPORT)
    page = report_page(run_facts(files, gallery.input.column), gallery, images)
    try:
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", path, option="output") from error
    return path


def report_page(facts: RunFacts, gallery: Gallery, images: bool = True) -> str:
    """The page as HTML."""
    worst, least_sure = sections.worst(facts), sections.least_sure(facts)
    matrix, labels = sections.matrix(facts), sections.label_rows(facts)
    cells = [*(matrix.cells if matrix else ()), *(cell for row in labels for cell in (row.missed, row.false))]
    cells = sorted(cells, key=lambda cell: cell.right)
    pictures = NONE
    if images:
        others = [answer.source for cell in cells for answer in cell.shown]
        pictures = thumbnails(gallery, [answer.source for answer in (*worst, *least_sure)], others, _shapes(facts))
    return _environment().get_template("report.html").render(
        facts=facts, metrics=facts.metrics, judged=facts.metrics.get(facts.judged), images=images, pictures=pictures,
        verdict=with_flags(str(facts.metrics.get("verdict", ""))), figures=_figures(facts), baselines=_baselines(facts.metrics),
        curves=sections.curves(facts), most_phases=sections.MOST_PHASES, matrix=matrix, label_rows=labels, cells=cells,
        cloud=sections.cloud(facts), worst=worst, least_sure=least_sure, reliability=sections.reliability(facts),
        drawings=sections.drawings(facts), sheet=data_sheet(facts), exports=_exports(facts), command=_command(facts),
        name=lambda answer: _name(answer, gallery), is_text=not gallery.has_pictures, predictions=PREDICTIONS,
        made=time.strftime("%Y-%m-%d %H:%M"), version=version("tlapp"),
    )  # fmt: skip


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("tlapp.engine.visuals"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: printable(value) if type(value) is str else value,
    )  # fmt: skip
    found.filters |= {
        "percent": "{:.1%}".format, "bytes": bytes_in_words, "points": lambda share: f"{100 * share:+.1f}",
        "short": lambda value: value if isinstance(value, str) else f"{value:.4g}",
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
    }  # fmt: skip
    return found


def _name(answer: Answer, gallery: Gallery) -> str:
    """What a page calls an example: the end of its path, or its own words, shortened."""
    if gallery.input.column == "path":
        return "/".join(PurePath(answer.source).parts[-2:])
    words = " ".join(answer.source.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _shapes(facts: RunFacts) -> dict[str, tuple[int, int]]:
    """Width and height of each file, as far as they are known."""
    return {row["path"]: (int(row["width"]), int(row["height"])) for row in facts.data if row.get("path") and row.get("width")}


def _figures(facts: RunFacts) -> list[tuple[str, str, str]]:
    """The figures that stand first: name, value, and interval or count."""
    found = []
    for split in ("test", "val", "target", "aux", "query"):
        measured = facts.metrics.get(split)
        if not measured:
            continue
        count = f"{measured['n']} {facts.noun}s"
        if "r2" in measured:
            found.append((f"{split} R2", f"{measured['r2']:.3f}", _between(measured, "r2", "{:.2f}", count)))
            found.append((f"{split} MAE", f"{measured['mae']:.4g}", _between(measured, "mae", "{:.4g}", count)))
            continue
        found.append((f"{split} accuracy", f"{measured['accuracy']:.1%}", _between(measured, "accuracy", "{:.0%}", count)))
        if split == "test":
            found.append(("balanced accuracy", f"{measured['balanced_accuracy']:.1%}", "mean recall of the classes"))
            found.append(("macro F1", f"{measured['macro_f1']:.3f}", _between(measured, "macro_f1", "{:.2f}", "")))
            found += [("mAP", f"{measured['map']:.3f}", "mean average precision")] if "map" in measured else []
    return found


def _between(measured: Mapping[str, Any], key: str, form: str, count: str) -> str:
    if not (interval := measured.get(f"{key}_interval")):
        return count
    return f"{form.format(interval[0])} to {form.format(interval[1])}{f', {count}' if count else ''}"


def _baselines(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What simple classifiers make of the same test, by their names in words."""
    found = metrics.get("baselines", {})
    named = {key: each for key, each in found.items() if isinstance(each, dict) and "difference" in each}
    return [(BASELINES.get(key, str(each.get("name", key))), each) for key, each in named.items()]


def _exports(facts: RunFacts) -> list[dict[str, Any]]:
    """What was exported, with what its check found."""
    found = []
    for name, export in facts.exports.items():
        check: Mapping[str, Any] = export.get("check") or {}
        metric = check.get("metric", "accuracy")
        before, after = check.get(f"{metric}_before"), check.get(f"{metric}_after")
        found.append({
            "name": name, "format": export.get("format", ""), "quantize": export.get("quantize", ""),
            "passed": bool(export.get("passed")), "bytes": check.get("bytes"), "agreement": check.get("agreement"),
            "change": None if before is None or after is None else f"{metric} {before:.3f}, then {after:.3f}",
            "milliseconds": (check.get("latency") or {}).get("median_ms"), "n": check.get("n"),
        })  # fmt: skip
    return found


def _command(facts: RunFacts) -> str:
    return f"tlapp train {flag('config')} {quote(os.path.join(facts.folder, SETTINGS))}"
