"""Answers take the place of earlier answers, and of nothing else."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from tlapp.engine.data.labelling import ONE
from tlapp.engine.data.reading import Bad
from tlapp.engine.inputs.images import Images
from tlapp.engine.runs.answer_file import answer_file, check_name
from tlapp.engine.runs.predictor import Prediction
from tlapp.errors import UserError

MODEL = SimpleNamespace(labels=("a", "b", "c"), says_unknown=False, labelling=ONE, input=Images(32))
ANSWERS = (Prediction("x,y.png", (("a", 0.5), ("b", 0.25))), Bad("gone\udce9.png", "no such file"))
FOREIGN = {
    "pictures.csv": "path,label\na.png,cats\n", "checked.csv": "path,label,probability,error,seen\n",
    "binary.csv": "\0\udcff\udcfe",
    "words.jsonl": '{"file": "a.png", "text": "b"}\n', "list.jsonl": "[1]\n", "text.jsonl": "label\n", "lines.jsonl": "\n\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_wrote_is_kept(name, tmp_path):
    path = tmp_path / name
    content = FOREIGN[name].encode(errors="surrogateescape")
    path.write_bytes(content)
    said = "already exists, and was not made by tlapp predict; choose another name, or remove it"
    with pytest.raises(UserError, match=said), answer_file(path, MODEL, None):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("top", [1, 2])
def test_earlier_answers_and_empty_files_are_replaced(name, top, tmp_path):
    path = tmp_path / name
    path.touch()
    contents = []
    for answers in (ANSWERS, ANSWERS[::-1], ()):
        with answer_file(path, MODEL, top) as writer:
            for answer in answers:
                writer.write(answer._replace(labels=answer.labels[:top]) if isinstance(answer, Prediction) else answer)
        contents.append(path.read_bytes())
    assert len(set(contents)) == 3
    check_name(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes with a name")
def test_what_is_no_file_is_kept(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "gone.csv")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(UserError, match="already exists"):
            check_name(tmp_path / name)
