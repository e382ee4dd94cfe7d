"""The model card, README.md, in the format that model hubs read; and the words for a file's metadata."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tlapp.engine.export import snippets
from tlapp.engine.export.metadata import Facts
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.runs.saved import SavedRun

SAYS = {
    "one": "Names a picture: one of {} classes.",
    "many": "Names what is in a picture: any number of {} labels, each by itself.",
}
COUNTS = {"one": "accuracy", "many": "accuracy, where a picture counts if its whole set of labels is right,"}
SHOWN = ("plugin", "backbone", "head", "image_size", "batch_size", "seed", "augment", "class_weights", "label_smoothing")


def facts(run: SavedRun, options: ExportOptions) -> Facts:
    """What a TFLite file says about itself."""
    said = f"{SAYS[run.labelling.kind].format(len(run.labels))} Trained by strategy {run.settings['plugin']}."
    return Facts(options.name or run.folder.resolve().name, said, "1", options.author, options.licence, run.labels)


def write(run: SavedRun, options: ExportOptions, report: Mapping[str, Any]) -> str:
    """The card of an export; `report` is what export.json holds."""
    known = facts(run, options)
    parts = (
        ["---", yaml.safe_dump(_front(known, run, report), sort_keys=False, allow_unicode=True).rstrip(), "---", ""],
        [f"# {known.name}", "", known.description, f"Author: {known.author or 'to be filled in'}.", ""],
        ["## Intended use", "", "To be filled in by the author: for what, for whom, and what it must not be used for.", ""],
        ["## Data", "", *_data(run), ""],
        ["## Training", "", *_training(run), ""],
        ["## Metrics", "", *_metrics(run, report), ""],
        ["## How to load it", "", *_loading(run, report), ""],
    )
    return "\n".join(line for part in parts for line in part)


def _front(known: Facts, run: SavedRun, report: Mapping[str, Any]) -> dict[str, Any]:
    accuracy = {"type": "accuracy", "value": round(report["check"]["accuracy_after"], 4)}
    task = {"type": "image-classification"}
    result = {"task": task, "dataset": {"type": "imagefolder", "name": "test split of the run"}, "metrics": [accuracy]}
    return {
        "library_name": {"tflite": "tflite", "keras": "keras", "savedmodel": "keras", "onnx": "onnx"}[report["format"]],
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", "tlapp", report["format"]],
        **({"license": known.licence} if known.licence else {}),
        "model-index": [{"name": known.name, "results": [result]}],
    }


def _data(run: SavedRun) -> Iterator[str]:
    with open(run.folder / "splits.csv", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        counts = Counter((name, row["split"]) for row in rows for name in run.labelling.names(row["label"]))
    yield "Where the pictures come from and under what terms: to be filled in by the author."
    yield ""
    yield "| class | train | val | test |"
    yield "|---|---|---|---|"
    for label in run.labels:
        yield f"| {_cell(label)} | " + " | ".join(str(counts[label, split]) for split in ("train", "val", "test")) + " |"


def _training(run: SavedRun) -> Iterator[str]:
    plan = json.loads((run.folder / "plan.json").read_text(encoding="utf-8"))
    yield f"- backbone's weights: {plan.get('weights') or 'unknown'}"
    yield f"- licence of the backbone: {plan.get('licence') or 'unknown; to be filled in'}"
    for phase in plan.get("phases", ()):
        yield f"- phase {phase['name']}: {phase.get('does') or _trained(phase)}"
    for key in SHOWN:
        if run.settings.get(key) is not None:
            yield f"- {key}: {run.settings[key]}"


def _trained(phase: Mapping[str, Any]) -> str:
    """What a phase of a plan.json that has no sentence for it trained, as far as that file says."""
    return f"trains {', '.join(phase.get('stages') or ()) or 'the head alone'}"


def _metrics(run: SavedRun, report: Mapping[str, Any]) -> Iterator[str]:
    found = report["check"]
    yield f"On {found['n']} test pictures, this file beside the Keras model that it was made from:"
    yield ""
    accuracy = f"{found['accuracy_after']:.4f} (Keras {found['accuracy_before']:.4f})"
    yield f"{COUNTS[run.labelling.kind]} {accuracy}; the same {run.labelling.answer} on "
    yield f"{found['agreement']:.2%}; no probability differs by more than {found['largest_difference']:.4f}. "
    yield f"{found['bytes'] / 1e6:.2f} MB, {found['latency']['median_ms']:.1f} ms a picture where it was exported."
    yield ""
    yield "| class | pictures | accuracy | Keras |"
    yield "|---|---|---|---|"
    for label, each in found["classes"].items():
        yield f"| {_cell(label)} | {each['n']} | {each['accuracy_after']:.4f} | {each['accuracy_before']:.4f} |"


def _loading(run: SavedRun, report: Mapping[str, Any]) -> Iterator[str]:
    yield f"Give it RGB pictures of {report['image_size']} x {report['image_size']} of values 0 to 255: it scales them itself."
    yield "`tlapp verify` on this folder replays its golden vectors."
    yield ""
    yield from ("```python", snippets.python(report["format"], run.labelling.kind).rstrip(), "```")


def _cell(label: str) -> str:
    return label.replace("|", "\\|")
