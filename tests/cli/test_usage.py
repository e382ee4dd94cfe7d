"""What is typed wrong: an unknown command, option or value, and an argument that nothing takes, end in a sentence that helps."""

from __future__ import annotations

import pytest
from helpers.command import tlapp

from tlapp.cli.main import run

PROCESSES = {
    "trian": "tlapp trian: there is no such command; did you mean train?",
    "pictures": "tlapp pictures: there is no such command; say tlapp train --data pictures",
    "train pictures/": "tlapp train: unexpected argument pictures/; say --data pictures/",
    "train --epoch 3": "--epoch: tlapp train has no such option (did you mean --epochs?)",
    "train --schedule cosin": "should be 'cosine' or 'constant' (did you mean cosine?)",
    "evaluate run pictures/": "tlapp evaluate: unexpected argument pictures/; say --data pictures/",
    "export run --format tflit": "(did you mean tflite?)",
    "plugins lst": "tlapp plugins lst: there is no such command; did you mean list?",
    "predict run": "tlapp predict: FILES is missing; usage: tlapp predict [OPTIONS] MODEL FILES...",
}
"""What is typed -> what is said, each in a process."""

MORE = {
    "nothing-like-it": "nothing-like-it: there is no such command; there are train, ",
    "--data x train": "--data: tlapp has no such option; see tlapp --help",
    "train epochs=3": "unexpected argument epochs=3; say --epochs 3",
    "train head-dropout": "unexpected argument head-dropout; say --head-dropout X",
    "train set.csv": "say --data set.csv",
    "train a.yaml": "say --config a.yaml",
    "train earlier": "say --resume earlier",
    "train full": "say --plugin full",
    "train keras:ResNet50": "say --backbone keras:ResNet50",
    "train whatever": "unexpected argument whatever; usage: tlapp train [OPTIONS]",
    "train --nothing-like-it 3": "has no such option; strategy partial and head linear do not have it",
    "train --plugin parital": "--plugin parital: no strategy of that name is installed; did you mean partial?",
    "train --dry-run=yes": "--dry-run: takes no value",
    "train --data": "--data: needs a value",
    "preview pictures": "tlapp preview: unexpected argument pictures; say --data pictures",
    "preview --count 99": "--count 99: 99 is not in the range 1<=x<=50",
    "export run tflite": "tlapp export: unexpected argument tflite; say --format tflite",
    "export": "tlapp export: RUN is missing; usage: tlapp export [OPTIONS] RUN",
    "verify one two": "tlapp verify: unexpected argument two; usage: tlapp verify [OPTIONS] ARTIFACT",
    "doctor now": "tlapp doctor: unexpected argument now; usage: tlapp doctor [OPTIONS]",
    "backbones shw": "tlapp backbones shw: there is no such command; did you mean show?",
    "cache lits": "tlapp cache lits: there is no such command; did you mean list?",
    "plugins show partial full": "tlapp plugins show: unexpected argument full; usage: ",
    "plugins new x --kind stategy": "(did you mean strategy?)",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    (folder / "pictures").mkdir()
    (folder / "earlier").mkdir()
    (folder / "earlier" / "settings.yaml").write_text("")
    return folder


@pytest.mark.parametrize("typed", PROCESSES)
def test_a_mistake_ends_in_a_sentence(typed, place):
    done = tlapp(*typed.split(), cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("tlapp: ") and PROCESSES[typed] in line


@pytest.mark.parametrize("typed", MORE)
def test_a_mistake_ends_in_a_sentence_here(typed, place, monkeypatch, capfd):
    monkeypatch.chdir(place)
    assert run(typed.split()) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("tlapp: ") and MORE[typed] in line


@pytest.mark.parametrize("typed", ["train pictures --help", "plugins --help", "predict -h"])
def test_help_is_given_whatever_else_is_typed(typed, capfd):
    assert run(typed.split()) == 0
    assert "Usage: tlapp" in capfd.readouterr().out


HOME = (
    "runs ~/x",
    "train --config=~/x",
    "train --resume=~/x",
    "preview --config=~/x",
    "verify ~/x",
    "predict ~/x a.png",
    "evaluate ~/x --data=y",
)
"""Commands with a path that does not exist in the home folder, as a shell leaves it in quotes and after an equals sign."""


@pytest.mark.parametrize("words", HOME)
def test_a_home_folder_is_meant_by_its_sign(words, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run(words.split()) == 2
    said = capfd.readouterr().err
    assert f"{tmp_path}/home/x" in said and "~" not in said
