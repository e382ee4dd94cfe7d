"""Exports that were altered after they were written: predict, evaluate and verify end in one sentence each."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

import tlapp
from tlapp.cli.main import run as typed
from tlapp.engine.export import golden, metadata

pytestmark = pytest.mark.slow

MANY = "".join(f"{number}\n" for number in range(10_000))


def _golden(change):
    def altered(folder):
        facts = json.loads((folder / "golden.json").read_text())
        (folder / "golden.json").write_text(json.dumps(change(facts)))
        return folder

    return altered


def _input(**facts):
    return _golden(lambda whole: {**whole, "input": {**whole["input"], **facts}})


def _labels(text):
    def altered(folder):
        (folder / "labels.txt").unlink() if text is None else (folder / "labels.txt").write_text(text)
        return folder

    return altered


def _zeros(folder):
    path = folder / "model.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    return folder


def _bare(reading, labels=None):
    """The file alone, with another tlapp.json, or other labels, behind it."""

    def altered(folder):
        path, bare = folder / "model.tflite", folder.with_name("bare.tflite")
        own = {"labels.txt": "\n".join(metadata.read_labels(path)), "tlapp.json": json.dumps(metadata.read_reading(path))}
        with zipfile.ZipFile(path) as archive:
            start = archive.infolist()[0].header_offset
        files = {**own, **({"labels.txt": labels} if labels else {}), **({"tlapp.json": reading} if reading else {})}
        bare.write_bytes(metadata.with_files(path.read_bytes()[:start], {name: text.encode() for name, text in files.items()}))
        return bare

    return altered


PICTURE = '{"input": {"kind": "image", "size": %s, "resize": "%s"}, "labelling": "%s"}'
ALTERED = {
    "no object": (_golden(lambda facts: []), "golden.json: expected an object. Received: list; the export was altered"),
    "no input": (_golden(lambda facts: {**facts, "input": 5}), "golden.json: input: expected an object. Received: int; "),
    "no size": (_golden(lambda facts: {**facts, "input": {"kind": "image"}}), "golden.json: input: a picture needs a size; "),
    "a vast size": (_input(size=10**9), "golden.json: input.size: Input should be less than or equal to 4096; "),
    "no vectors": (_golden(lambda facts: {**facts, "vectors": []}), "golden.json: vectors: List should have at least 1 item"),
    "another size": (_input(size=48), "model.tflite: does not run, so that it is damaged or altered: "),
    "no labels": (_labels(None), "labels.txt: cannot be read: No such file or directory; the export was altered"),
    "few labels": (_labels("a\nb\n"), "model.tflite: gives 3 probabilities, and its labels.txt names 2 labels; the export was"),
    "many labels": (_labels(MANY), "model.tflite: gives 3 probabilities, and its labels.txt names 10000 labels; "),
    "zeros": (_zeros, "model.tflite: was changed since it was exported"),
    "bare, no input": (_bare('{"input": 5}'), "bare.tflite/tlapp.json: input: expected an object. Received: int; "),
    "bare, no JSON": (_bare("{"), "bare.tflite/tlapp.json: is not JSON; the export was altered"),
    "bare, resize": (_bare(PICTURE % (32, "bend", "one")), "bare.tflite/tlapp.json: input.resize: Input should be 'squash', "),
    "bare, labelling": (
        _bare(PICTURE % (32, "crop", "two")),
        "bare.tflite/tlapp.json: labelling: Input should be 'one', 'many' or 'number'",
    ),
    "bare, size": (_bare(PICTURE % (40, "crop", "one")), "bare.tflite: does not run, so that it is damaged or altered: "),
    "bare, labels": (_bare(None, MANY), "bare.tflite: gives 3 probabilities, and its labels.txt names 10000 labels; "),
}
"""What was altered -> how, and what is said."""


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_export_ends_in_a_sentence(name, copied, world, capfd):
    alter, said = ALTERED[name]
    assert typed(["predict", str(alter(copied)), str(next((world / "data").rglob("*.png")))]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if not line.startswith(("note: ", "INFO: "))]
    assert said in line


def test_the_file_alone_as_it_was_answers(copied, world):
    picture = next((world / "data").rglob("*.png"))
    one, other = tlapp.load(_bare(None)(copied)).predict([picture]), tlapp.load(copied).predict([picture])
    assert one == other


VERIFIED = {
    "no object": ALTERED["no object"][1],
    "a vast size": ALTERED["a vast size"][1],
    "few labels": "labels.txt: was changed since it was exported",
}


@pytest.mark.parametrize("name", VERIFIED)
def test_verify_says_so_too(name, copied, capfd):
    assert typed(["verify", str(ALTERED[name][0](copied))]) == 2
    assert VERIFIED[name] in capfd.readouterr().err


@pytest.mark.parametrize("name", ["few labels", "zeros"])
def test_digests_that_were_altered_too_do_not_help(name, copied, capfd):
    ALTERED[name][0](copied)
    digests = {file: digest for file, digest in golden.digests(copied).items() if file != "golden.json"}
    _golden(lambda facts: {**facts, "sha256": digests})(copied)
    assert typed(["verify", str(copied)]) == 2
    last = capfd.readouterr().err.splitlines()[-1]  # where the zeros fall, it does not run, or answers otherwise
    assert "model.tflite: " in last or (name == "zeros" and "an answer differs by" in last)


def test_a_run_is_no_export(run, tmp_path, capfd):
    assert typed(["verify", str(run.folder)]) == 2
    assert f"{run.folder}: is a run, not an export; `tlapp export {run.folder}` makes one" in capfd.readouterr().err
    stopped = Path(shutil.copytree(run.folder, tmp_path / "stopped"))
    (stopped / "metrics.json").unlink()
    assert typed(["verify", str(stopped)]) == 2
    assert f"{stopped}: is a run that did not finish, not an export; `tlapp export {stopped}` makes one" in capfd.readouterr().err
