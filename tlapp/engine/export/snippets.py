"""Code to start from: short programs that load an artifact, prepare an example the same way and print the label."""

from __future__ import annotations

from tlapp.contracts.input_export import InputExport
from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.export.formats import table
from tlapp.engine.export.formats.format import Format
from tlapp.engine.runs.folder import LABELS
from tlapp.errors import UserError

LANGUAGES = ("python", "kotlin", "swift")

_PYTHON = f'''\
"""Name a {{noun}}: python classify.py {{argument}}, in the folder of the export."""

import sys

import numpy as np
{{imports}}
{{loading}}

labels = open("{LABELS}", encoding="utf-8").read().splitlines()
{{prepare}}
{{answer}}'''

_ANSWER = {
    "one": """\
probabilities = classify(inputs)
best = int(probabilities.argmax())
print(labels[best], f"{probabilities[best]:.4f}")
""",
    "many": """\
probabilities = classify(inputs)
for number in np.flatnonzero(probabilities > 0.5):  # any number, none included; thresholds that were chosen are inside
    print(labels[number], f"{probabilities[number]:.4f}")
""",
    "number": """\
(value,) = classify(inputs)
print(f"{value:.6g}")
""",
}
_KNOWN = """\
probabilities, known = classify(inputs)
best = int(probabilities.argmax())
answer = f"{labels[best]} {probabilities[best]:.4f}"
print(answer if known >= 0.5 else f"unknown ({answer})")  # unlike what the model was trained on
"""


def snippet(language: str, format: Format, takes: InputExport, labelling: str = "one", says_unknown: bool = False) -> str:
    """A program in "python", "kotlin" or "swift" for an artifact.

    Args:
        takes: the model's input.
        labelling: "one", "many" or "number", the labels of an example.
        says_unknown: whether it has the output `known`.

    Raises:
        UserError: a phone's language with a format that phones do not run, or for an input that has no such program.
    """
    if language == "python":
        return python(format, takes, labelling, says_unknown)
    if not format.phones:
        able = " or ".join(each.name for each in table().values() if each.phones)
        raise UserError(f"is for option format={able}. Received: option format={format.name}", language, option="snippet")
    program = takes.phone_program(language, "known" if says_unknown else labelling)
    if program is None:
        what = "answers with a number" if labelling == "number" else f"takes a {takes.noun}"
        raise UserError(f"there is none for a model that {what}", language, option="snippet")
    return program


def python(format: Format, takes: InputExport, labelling: str = "one", says_unknown: bool = False) -> str:
    """The program in Python."""
    prepare = takes.snippet()
    parts = {
        "noun": takes.noun, "argument": prepare.argument, "imports": prepare.imports, "loading": format.loading.rstrip(),
        "output": LABELLINGS[labelling].output, "prepare": prepare.prepare,
        "answer": _KNOWN if says_unknown else _ANSWER[labelling],
        "known": ', float(answers["known"][0, 0])' if says_unknown else "",
    }  # fmt: skip
    program = _PYTHON
    for name, text in parts.items():
        program = program.replace(f"{{{name}}}", text)
    return program
