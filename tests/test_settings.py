"""Settings are the same after YAML and after the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.drawn import options, words
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tlapp import registry
from tlapp.api import job_of
from tlapp.contracts import Field, Options, UserError, when
from tlapp.contracts.options import condition_of, is_path
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.record import Record
from tlapp.errors import UserErrors
from tlapp.settings import HEAD, resolve
from tlapp.words import flag, without_folders

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("plugin", registry.installed("strategy"))
@given(data=st.data())
@settings(drawn, max_examples=15)
def test_settings_are_the_same_after_yaml_and_after_the_command_line(plugin, data, tmp_path):
    head = data.draw(st.sampled_from(sorted(registry.installed("head"))))
    own = {HEAD + key: value for key, value in data.draw(options(registry.load("head", head))).items()}
    chosen = {**data.draw(options(RunOptions)), **data.draw(options(registry.load("strategy", plugin))), **own}
    chosen |= {"plugin": plugin, "head": head}
    try:
        found = resolve(chosen)
    except UserError:
        assume(False)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    Record(str(folder), plugin).begin(found.repeatable(), {}, (), ())
    again = resolve({}, folder / "settings.yaml")
    assert again.repeatable() == found.repeatable()  # paths are absolute there
    typed = {key: words(value) for key, value in chosen.items() if value is not None}
    by_flags = resolve(typed)
    assert by_flags.flat() == found.flat(), {flag(key): value for key, value in typed.items()}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a folder, a table and a saved network in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for name in ("val.csv", "net.keras", "none"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_paths_are_absolute_where_they_repeat_a_run(place):
    found = resolve({"data": "pictures", "val": "val.csv", "test": "nowhere", "backbone_weights": "none", "run": "mine"})
    repeatable = found.repeatable()
    assert repeatable["data"] == str(place / "pictures") and repeatable["val"] == str(place / "val.csv")
    assert repeatable["test"] == "nowhere" and repeatable["backbone_weights"] == "none" and "run" not in repeatable
    assert resolve({}).repeatable()["data"] == "builtin:digits"
    assert found.flat()["data"] == "pictures"


def test_a_home_folder_is_meant_by_its_sign(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    (place / "a.yaml").write_text("val: ~/val.csv\nhead: linear\n")
    (place / "~").write_text("")
    found = resolve({"data": "~/pictures", "run": "~/mine", "backbone_weights": "~/net.keras"}, place / "a.yaml").flat()
    assert {key: found[key] for key in ("data", "val", "run", "backbone_weights")} == {
        "data": f"{place}/pictures", "val": f"{place}/val.csv", "run": f"{place}/mine", "backbone_weights": f"{place}/net.keras",
    }  # fmt: skip
    assert resolve({"backbone": "~/x"}).flat()["backbone"] == "~/x"


@pytest.mark.parametrize("nothing", [None, ""])
def test_where_nothing_was_received_none_is_named(nothing, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("seed:\n" if nothing is None else "seed: ''\n")
    with pytest.raises(UserError, match="seed of the split") as error:
        resolve({}, file)
    assert "Received" not in str(error.value)


@pytest.mark.parametrize(
    ("backbone", "absolute"),
    [
        ("file:net.keras", "file:{place}/net.keras"),
        ("hub:pictures", "hub:{place}/pictures"),
        ("hub:https://tfhub.dev/some/1", "hub:https://tfhub.dev/some/1"),
        ("keras:ResNet50", "keras:ResNet50"),
    ],
)
def test_a_backbone_that_is_a_path_is_absolute(backbone, absolute, place):
    assert job_of(resolve({"backbone": backbone}), trust=False).settings["backbone"] == absolute.format(place=place)


def test_an_option_of_a_plugin_is_a_path_by_its_type_or_its_field():
    class Own(Options):
        table: Path | None = None
        picture: str = Field("", path=True, when=when(table=None))
        text: str = ""

    assert [name for name, field in Own.model_fields.items() if is_path(field)] == ["table", "picture"]
    assert condition_of(Own.model_fields["picture"]) is not None


def test_an_export_names_no_folder_of_this_machine():
    assert without_folders("file:/home/me/net.keras") == "file:net.keras"
    assert without_folders("hub:https://tfhub.dev/some/1") == "hub:https://tfhub.dev/some/1"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("batch-size: 8\nhead-dropout: 0.5\n", {"batch_size": 8, "head_dropout": 0.5}),
        ("cache: off\n", {"cache": "off"}),
        ("epochs: 2.0\n", {"epochs": 2}),
        ("{head: mlp, head-hidden: [4, 2]}", {"head_hidden": [4, 2]}),
        ("# nothing\n", {}),
        ("null", {}),
        ("all: &all\n  seed: 1\n", None),
    ],
)
def test_yaml_is_read_as_it_is_meant(text, values, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    if values is None:
        with pytest.raises(UserError, match="all: there is no such option"):
            resolve({}, file)
        return
    found = resolve({}, file).flat()
    assert {key: found[key] for key in values} == values


WRONG = {
    "seed: yes": "seed: yes: seed of the split",
    "seed: true": "seed: True: seed of the split",
    "label_smoothing: no": "label_smoothing: no: share",
    "epochs: 1.5": "epochs: 1.5: ",
    "head: mlp\nhead-hidden: [true]": "head_hidden: [True]: ",
    "seed: 1\nlast: 2\nseed: 2": "seed: appears more than once, in line 1 and in line 3; keep one of them",
    "batch-size: 1\nbatch_size: 2": "batch_size: appears more than once, in line 1 as batch-size and in line 2; keep one of them",
    "plugin: partil": "plugin: partil: no strategy of that name is installed; did you mean partial?",
    "schedule: cosin": "(did you mean cosine?)",
    "lst: 3": "lst: there is no such option (did you mean last?)",
    "? [a]\n: 1": "is not YAML",
    "seed: " + "9" * 6000: "is not YAML: '999",
    "seed: 0x" + "f" * 6000: "is not YAML: '0xfff",
    "seed: " + "[" * 3000 + "]" * 3000: "is nested too deeply",
    "seed: !!bool maybe": "is not YAML",
    "seed: 1:30": "seed: 1:30: seed of the split",
    "val_share: 1:30.5": "val_share: 1:30.5: ",
    "seed: {a: 1,\n b: 2, a: 3}": "seed: a: appears more than once, in line 1 and in line 2; keep one of them",
    "x:\n- [&x {a: 1, a: 2}, *x]": "x: a: appears more than once, in line 2 and in line 2; keep one of them",
    "1: 2": "must hold a mapping",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_in_a_file_is_told(text, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        resolve({}, file)
    assert WRONG[text] in str(error.value) and str(file) in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("seed: 1\nlst: 3\nseed: many\nhead-dropout: 7\nlast: 0\n")
    with pytest.raises(UserErrors) as error:
        resolve({"patience": "0", "schedule": "linear"}, file)
    assert [each.option for each in error.value.errors] == [
        "seed", "lst", "seed", "patience", "schedule", "last", "head_dropout",
    ]  # fmt: skip
    origins = {each.option: each.origin for each in error.value.errors}
    assert origins["last"] == f"{file}: last: 0" and origins["patience"] == ""
    assert len(str(error.value).splitlines()) == 7


def test_all_options_that_do_not_count_are_told_at_once():
    with pytest.raises(UserErrors) as error:
        resolve({"plugin": "adversarial", "method": "mcc", "width": 64, "val": "x", "val_share": 0.3})
    assert {each.option for each in error.value.errors} == {"width", "val_share"}


def test_the_folder_in_the_settings_of_an_older_run_is_not_asked_for(tmp_path):
    for name, run in (("run", None), ("own", "earlier")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "settings.yaml").write_text("run: earlier\nepochs: 3\n")
        if name == "run":
            (folder / "plan.json").write_text("{}")
        assert resolve({}, folder / "settings.yaml").options.run == run
    assert resolve({"run": "new"}, tmp_path / "run" / "settings.yaml").options.run == "new"


def test_defaults_follow_from_the_kind_of_data(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nsoup,food\n")
    texts = resolve({"data": str(tmp_path / "a.csv"), "plugin": "full"})
    pictures = resolve({"plugin": "full"})
    assert texts.options.backbone == "bert:minilm" and pictures.options.backbone.startswith("keras-cv:")
    assert (texts.strategy.decay, pictures.strategy.decay) == (0.95, 1.0)
    chosen = resolve({"data": str(tmp_path / "a.csv"), "plugin": "full", "decay": "0.7", "backbone": "bert:other"})
    assert (chosen.strategy.decay, chosen.options.backbone) == (0.7, "bert:other")
    again = {**resolve({"data": str(tmp_path / "a.csv"), "plugin": "partial", "last": 1}).flat()}
    assert resolve(again).strategy.decay == 0.95, "a default that does not count is no fault where the run is repeated"
