"""How the user gave an option stands in front of what is wrong with it: a flag, a file and its key, or an argument."""

from __future__ import annotations

import pytest

import tlapp
from tlapp.cli.main import run
from tlapp.errors import UserError
from tlapp.words import with_flags


def test_the_command_line_is_told_of_flags(tmp_path, capfd):
    assert run(["train", "--data", str(tmp_path / "nowhere")]) == 2
    assert capfd.readouterr().err.strip() == f"tlapp: --data {tmp_path}/nowhere: there is no such file or folder"


def test_a_file_is_told_of_its_keys(tmp_path, capfd):
    file = tmp_path / "run.yaml"
    file.write_text(f"data: {tmp_path}/nowhere\n")
    assert run(["train", "--config", str(file)]) == 2
    assert capfd.readouterr().err.strip() == f"tlapp: {file}: data: {tmp_path}/nowhere: there is no such file or folder"


def test_a_file_is_told_of_other_options_by_their_names(tmp_path, capfd):
    file = tmp_path / "run.yaml"
    file.write_text("plugin: feature-extract\nclassifier: knn\nfolds: 5\n")
    assert run(["train", "--config", str(file)]) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"tlapp: {file}: folds: 5: counts only when option classifier is ") and "--" not in error


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data": "nowhere"}, "data='nowhere': there is no such file or folder"),
        ({"last": 0}, "last=0: "),
        ({"plugin": "partil"}, "plugin='partil': no strategy of that name is installed; did you mean partial?"),
        ({"lst": 3}, "lst: there is no such option (did you mean last?)"),
    ],
)
def test_python_is_told_of_arguments(settings, sentence):
    with pytest.raises(UserError) as error:
        tlapp.train(**settings)
    assert str(error.value).startswith(sentence) and "--" not in str(error.value)


def test_without_a_boundary_an_error_names_the_option():
    assert str(UserError("holds nothing", "pictures/", "data")) == "option data=pictures/: holds nothing"
    assert str(UserError("holds nothing", option="data")) == "option data: holds nothing"
    assert str(UserError("holds nothing", "pictures/")) == "holds nothing"


@pytest.mark.parametrize(
    ("sentence", "rendered"),
    [
        ("leave them out with option on_bad=skip", "leave them out with --on-bad skip"),
        ("lower option batch_size (now 32) or option image_size", "lower --batch-size (now 32) or --image-size"),
        ("option data=a b.csv: its rows", "--data a b.csv: its rows"),
        ("leave the option out", "leave the option out"),
        ("its option width is already an option of the engine", "its option width is already an option of the engine"),
        ("an option that is wrong", "an option that is wrong"),
    ],
)
def test_options_are_rendered_as_flags(sentence, rendered):
    assert with_flags(sentence) == rendered
