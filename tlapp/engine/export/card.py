"""The model card, README.md, in the format that model hubs read; and the words for a file's metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tlapp.engine.export import snippets
from tlapp.engine.export.formats import named
from tlapp.engine.export.metadata import Facts
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.inputs import unread_by
from tlapp.engine.runs.saved import SavedRun
from tlapp.words import printable, without_folders

SAYS = {
    "one": "Names a {}: one of {} classes.",
    "many": "Names what is in a {}: any number of {} labels, each by itself.",
    "number": "Says a number of a {}.",
}
COUNTS = {
    "one": "accuracy", "many": "accuracy, where one counts if its whole set of labels is right,",
    "number": "R2 (1 for no error, 0 for always the mean)",
}  # fmt: skip
SHOWN = (
    "plugin",
    "backbone",
    "head",
    "image_size",
    "resize",
    "max_length",
    "batch_size",
    "seed",
    "augment",
    "class_weights",
    "label_smoothing",
)


def facts(run: SavedRun, options: ExportOptions) -> Facts:
    """What a TFLite file says about itself."""
    does = SAYS[run.labelling.kind].format(run.input.noun, len(run.labels))
    description = f"{does} Trained by strategy {run.settings['plugin']}."
    return Facts(
        options.name or printable(run.folder.resolve().name),
        description,
        "1",
        options.author,
        options.licence,
        run.labels,
        run.metrics.get("thresholds"),
    )


def write(run: SavedRun, options: ExportOptions, report: Mapping[str, Any]) -> str:
    """The card of an export; `report` is what export.json holds."""
    known = facts(run, options)
    parts = (
        ["---", yaml.safe_dump(_front(known, run, report), sort_keys=False, allow_unicode=True).rstrip(), "---", ""],
        [f"# {known.name}", "", known.description, f"Author: {known.author or 'to be filled in'}.", ""],
        ["## Intended use", "", "To be filled in by the author: for what, for whom, and what it must not be used for.", ""],
        ["## Data", "", *_data(run), ""],
        ["## Training", "", *_training(run), ""],
        ["## Metrics", "", *_metrics(run, report), *_calibration(run), *_thresholds(run), *_unknown(run, report), ""],
        ["## How to load it", "", *_loading(run, report), ""],
    )
    return "\n".join(line for part in parts for line in part)


def _front(known: Facts, run: SavedRun, report: Mapping[str, Any]) -> dict[str, Any]:
    metric = report["check"]["metric"]
    measured = {"type": metric, "value": round(report["check"][f"{metric}_after"], 4)}
    takes = run.input.export
    dataset = {"type": takes.dataset, "name": "test split of the run"}
    result = {"task": {"type": takes.task}, "dataset": dataset, "metrics": [measured]}
    return {
        "library_name": named(report["format"]).library,
        "pipeline_tag": takes.task,
        "tags": [takes.task, "transfer-learning", "tlapp", report["format"]],
        **({"license": known.licence} if known.licence else {}),
        "model-index": [{"name": known.name, "results": [result]}],
    }


def _data(run: SavedRun) -> Iterator[str]:
    counts = Counter(
        (name, row["split"]) for row in run.files.splits(run.input.column) for name in run.labelling.names(row["label"])
    )
    yield f"Where the {run.input.noun}s come from and under what terms: to be filled in by the author."
    yield ""
    yield f"| {'label' if run.labelling.scale else 'class'} | train | val | test |"
    yield "|---|---|---|---|"
    for label in run.labels:
        yield f"| {_cell(label)} | " + " | ".join(str(counts[label, split]) for split in ("train", "val", "test")) + " |"


def _training(run: SavedRun) -> Iterator[str]:
    plan = run.files.plan()
    yield f"- backbone's weights: {plan.get('weights') or 'unknown'}"
    yield f"- licence of the backbone: {plan.get('licence') or 'unknown; to be filled in'}"
    for phase in plan.get("phases", ()):
        yield f"- phase {phase['name']}: {phase.get('does') or _trained(phase)}"
    for key in SHOWN:
        if key not in unread_by(run.input) and run.settings.get(key) is not None:
            yield f"- {key}: {without_folders(run.settings[key]) if key == 'backbone' else run.settings[key]}"


def _trained(phase: Mapping[str, Any]) -> str:
    """What a phase of a plan.json that has no sentence for it trained, as far as that file says."""
    return f"trains {', '.join(phase.get('stages') or ()) or 'the head alone'}"


def _metrics(run: SavedRun, report: Mapping[str, Any]) -> Iterator[str]:
    check, noun = report["check"], run.input.noun
    yield f"On {check['n']} test {noun}s, this file beside the Keras model that it was made from:"
    yield ""
    metric, what = check["metric"], "number" if run.labelling.scale else "probability"
    measured = f"{check[f'{metric}_after']:.4f} (Keras {check[f'{metric}_before']:.4f})"
    yield f"{COUNTS[run.labelling.kind]} {measured}; the same {run.labelling.answer} on "
    yield f"{check['agreement']:.2%}; no {what} differs by more than {check['largest_difference']:.4f}. "
    yield f"{check['bytes'] / 1e6:.2f} MB, {check['latency']['median_ms']:.1f} ms a {noun} where it was exported."
    if not check["classes"]:
        return
    yield ""
    yield f"| class | {noun}s | accuracy | Keras |"
    yield "|---|---|---|---|"
    for label, each in check["classes"].items():
        yield f"| {_cell(label)} | {each['n']} | {each['accuracy_after']:.4f} | {each['accuracy_before']:.4f} |"


def _calibration(run: SavedRun) -> Iterator[str]:
    """How far the run's probabilities can be trusted."""
    if not (found := run.metrics.get("calibration")):
        return
    yield ""
    noun = run.input.noun
    if found["temperature"] == 1:
        yield f"Probabilities are not calibrated ({found['val_pictures']} val {noun}s)."
    else:
        yield f"Probabilities are calibrated: outputs are divided by {found['temperature']:.3f}, which was fitted on "
        yield f"{found['val_pictures']} val {noun}s. Expected calibration error (15 bins) of the run's model:"
    if found["test"]:
        yield f"on test {found['test']['ece_before']:.4f} before and {found['test']['ece_after']:.4f} after;"
    if found["ece_before"] is not None:
        yield f"on val {found['ece_before']:.4f} and {found['ece_after']:.4f}, in-sample: the temperature was fitted on them."


def _thresholds(run: SavedRun) -> Iterator[str]:
    """From where on each label is answered."""
    if chosen := run.metrics.get("thresholds"):
        yield ""
        yield "A label is answered above 0.5. That stands for a probability of the trained head, which was chosen on val:"
        yield f"{', '.join(f'{_cell(label)} {value:.3f}' for label, value in chosen.items())}."


def _unknown(run: SavedRun, report: Mapping[str, Any]) -> Iterator[str]:
    """What the output `known` is worth."""
    if not (found := run.metrics.get("unknown")) or not run.says_unknown:
        return
    noun = run.input.noun
    yield ""
    yield f"The output `known` is below 0.5 for a {noun} unlike those that the model was trained on: its class is then unknown."
    yield f"It was chosen on {found['val_pictures']} val {noun}s, to call {found['coverage']:.1%} of such {noun}s known;"
    if test := found["test"]:
        low, high = test["coverage_interval"]
        yield f"on {test['n']} test {noun}s of the run it called {test['coverage']:.1%} known ({low:.1%} to {high:.1%})."
    if known := report["check"].get("known"):
        yield f"It calls {known['share_after']:.1%} of them known, and decides as the run on {known['agreement']:.2%}."


def _loading(run: SavedRun, report: Mapping[str, Any]) -> Iterator[str]:
    yield run.input.export.usage({tensor.name: tensor.shape for tensor in run.input.tensors})
    yield "`tlapp verify` on this folder replays its golden vectors."
    yield ""
    program = snippets.python(named(report["format"]), run.input.export, run.labelling.kind, run.says_unknown)
    yield from ("```python", program.rstrip(), "```")


def _cell(label: str) -> str:
    return label.replace("|", "\\|")
