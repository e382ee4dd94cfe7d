"""One module spells the names in a run folder, and reads and writes names of files that are not UTF-8."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tlapp.engine.runs import folder
from tlapp.engine.runs.folder import RunFolder
from tlapp.engine.runs.history import Epoch

ROOT = Path(__file__).parents[3]
NAMES = (folder.SETTINGS, folder.PLAN, folder.LABELS, folder.SPLITS, folder.HISTORY, folder.METRICS, folder.MODEL)
OWNER = ROOT / "tlapp" / "engine" / "runs" / "folder.py"


def texts(path):
    """Pieces of text in a file's code: no docstrings, no help of an option."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    helps = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg in ("help", "description")
             for inner in ast.walk(node.value)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents | helps:
            yield node.value


def test_no_other_module_spells_the_names():
    spelt = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in (ROOT / "tlapp").rglob("*.py")
        if path != OWNER
        for text in texts(path)
        if any(name in text for name in NAMES) or text.startswith("checkpoints")
    }
    assert spelt == set()


def test_what_is_written_is_read(tmp_path):
    files = RunFolder(tmp_path)
    odd = 'caf\udce9 "a", b\n.png'
    rows = [(odd, "cat", "train"), ("b.png", "dog; bird", "test")]
    files.write_settings({"data": odd, "epochs": 3, "name": "ä"})
    files.write_plan({"labelling": "many"})
    files.write_labels(["cat", "dög"])
    files.write_splits(rows)
    files.write_metrics({"test": {"accuracy": 0.5}})
    assert files.settings() == {"data": odd, "epochs": 3, "name": "ä"}
    assert files.plan() == {"labelling": "many"} and files.labels() == ("cat", "dög")
    assert [tuple(row.values()) for row in files.splits()] == rows
    assert files.has_splits(rows) and not files.has_splits(rows[:1])
    assert files.metrics() == {"test": {"accuracy": 0.5}}
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES) - {folder.HISTORY, folder.MODEL}


def test_history_grows_as_it_is_written_anew(tmp_path):
    epochs = [Epoch("fit", number, {"loss": 1 / number}, {"accuracy": 0.1 * number}, True) for number in (1, 2, 3)]
    grown, anew = (tmp_path / "grown", tmp_path / "anew")
    for path in (grown, anew):
        path.mkdir()
    for epoch in epochs:
        RunFolder(grown).add_epoch(epoch)
    RunFolder(anew).write_history(epochs)
    assert RunFolder(grown).file(folder.HISTORY).read_bytes() == RunFolder(anew).file(folder.HISTORY).read_bytes()


def test_a_file_that_fails_leaves_the_one_before(tmp_path):
    class Model:
        def save(self, path):
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt

    files = RunFolder(tmp_path)
    files.file(folder.MODEL).write_bytes(b"whole")
    with pytest.raises(KeyboardInterrupt):
        files.write_model(Model())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_an_unfinished_beginning_is_empty(tmp_path):
    files = RunFolder(tmp_path / "run")
    assert not files.is_empty
    files.path.mkdir()
    folder.aside(files.file(folder.SETTINGS)).touch()
    files.file(folder.LOCK).touch()
    assert files.is_empty
    files.write_labels(["a"])
    assert not files.is_empty


@pytest.mark.parametrize("text", ["\x85", "a\x85b", "\u2028", "é\x1b", "日本"])
def test_settings_are_read_as_they_were_written(text, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_settings({"data": text, "last": 2})
    assert folder.settings() == {"data": text, "last": 2}
