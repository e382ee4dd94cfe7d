"""An option that nothing would read is refused by its flag, before anything is read or loaded."""

from __future__ import annotations

import pytest
import yaml

import tlapp
from tlapp.cli.main import run
from tlapp.errors import UserError
from tlapp.settings import resolve

ADAPT = ("self-training", "adversarial", "augment-adapt", "self-supervised")
NO_GRADIENT = "has no effect, because no phase of this strategy's plan trains by gradient"
TRAINING = {
    "batch_size": 16, "augment": "basic", "patience": 3, "schedule": "constant", "label_smoothing": 0.2, "clip_norm": 2.0,
    "weight_decay": 0.1, "precision": "bfloat16",
}  # fmt: skip
UNMIXED = "--style is not none, adain, mixstyle, mixup or cutmix"
ROWS = [
    ("--folds 5", "--plugin feature-extract --classifier knn", "--classifier is linear-svm, rbf-svm or lda, or --classifier is"),
    ("--folds 5", "--plugin feature-extract --penalty 0.1", "(now --classifier logistic, --penalty 0.1)"),
    ("--penalty 0.1", "--plugin feature-extract --classifier knn", "--classifier is logistic, linear-svm or rbf-svm (now knn)"),
    ("--neighbours 3", "--plugin feature-extract", "--classifier is knn (now logistic)"),
    *(("--views 4", f"--plugin {plugin} --style none", "--style is not none") for plugin in ("self-training", "adversarial")),
    *(
        (
            "--views 4",
            f"--plugin augment-adapt --style {style}",
            f"--style is not none, adain, mixstyle, mixup or cutmix (now {style})",
        )
        for style in ("none", "adain", "mixstyle", "mixup", "cutmix")
    ),
    ("--views 4", "--plugin self-supervised --method rotation --style none", "(now --method rotation, --style none)"),
    *(
        ("--width 64", f"--plugin adversarial --method {method}", f"--method is dann, cdan or auto (now {method})")
        for method in ("mcc", "coral", "adabn")
    ),
    ("--width 64", "--plugin self-supervised --method rotation", "--method is simclr, simsiam or vicreg (now rotation)"),
    ("--strength 0.5", "--plugin adversarial --method adabn", "--method is not adabn (now adabn)"),
    ("--epochs 5", "--plugin adversarial --method adabn", "--method is not adabn (now adabn)"),
    ("--adapt-last 1", "--plugin adversarial --method adabn", "--method is not adabn (now adabn)"),
    *(("--source-epochs 5", f"--plugin {plugin} --last 0", "--last is above 0 (now 0)") for plugin in ADAPT),
    *(("--last 2", f"--plugin {plugin} --source-epochs 0", "--source-epochs is above 0 (now 0)") for plugin in ADAPT[:2]),
    ("--decay 0.5", "--plugin self-training --last 0", "(now --last 0, --source-epochs 10, --adapt-last 0)"),
    ("--decay 0.5", "--plugin partial --last 1", "--last is above 1 (now 1)"),
    ("--decay 0.5", "--plugin gradual --last 1", "--last is above 1 (now 1)"),
    ("--early 0.1", "--plugin layerwise --decay 0.5", "--decay is not set (now 0.5)"),
    ("--middle 0.2", "--plugin layerwise --decay 0.5", "--decay is not set (now 0.5)"),
    *(
        ("--warmup-rate 0.1", f"--plugin {plugin} --warmup 0", "--warmup is above 0 (now 0)")
        for plugin in ("partial", "full", "layerwise", "gradual", "multi-task")
    ),
    ("--aux-weight 2", "--plugin multi-task", "--balance is fixed (now uncertainty)"),
    ("--val-share 0.3", "--val elsewhere", "--val is not set (now elsewhere)"),
    ("--test-share 0.3", "--test elsewhere", "--test is not set, or --aux is set (now --test elsewhere, --aux not set)"),
]
UNREAD = [
    *((f"--{key.replace('_', '-')} {value}", "--plugin feature-extract", NO_GRADIENT) for key, value in TRAINING.items()),
    ("--class-weights none", "--plugin feature-extract --classifier lda", "plan weights examples by their labels"),
    ("--support {data}", "--plugin partial", "reads no stream support"),
    ("--query {data}", "--plugin freeze", "reads no stream query"),
    *(("--aux {data}", f"--plugin {name}", "reads no second labelled set") for name in ("partial", "freeze", "feature-extract")),
    ("--head mlp", "--plugin feature-extract", "the strategy fits its own head"),
    ("--head-dropout 0.5", "--plugin feature-extract", "the strategy fits its own head"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("something was read or loaded before the option was refused")

    monkeypatch.setattr("tlapp.engine.data.streams.start", refuse)
    monkeypatch.setattr("tlapp.backbones.keras_cv.KerasCV.load", refuse)


@pytest.mark.parametrize(("option", "others", "words"), ROWS + UNREAD)
def test_it_is_refused_before_anything_is_read(option, others, words, shapes, tmp_path, capfd):
    option = option.format(data=shapes)
    data = ["--data", str(shapes), *(["--target", str(shapes)] if any(name in others for name in ADAPT) else [])]
    assert run(["train", *data, *option.split(), *others.split(), "--run", str(tmp_path / "run"), "--dry-run"]) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"tlapp: {option}: ") and words in error and error.endswith("; leave it out\n")
    assert error.count("\n") == 1


def test_a_file_and_python_are_told_of_their_own(tmp_path, capfd):
    file = tmp_path / "run.yaml"
    file.write_text("plugin: adversarial\nmethod: mcc\nwidth: 64\n")
    assert run(["train", "--config", str(file), "--dry-run"]) == 2
    words = "counts only when {} is dann, cdan or auto (now mcc); leave it out"
    assert capfd.readouterr().err == f"tlapp: {file}: width: 64: {words.format('option method')}\n"
    with pytest.raises(UserError) as error:
        tlapp.train(plugin="adversarial", method="mcc", width=64)
    assert str(error.value) == f"width=64: {words.format('option method')}"


def test_a_default_that_is_spelt_out_is_accepted(tmp_path):
    """As settings.yaml spells them all."""
    settings = resolve({"plugin": "adversarial", "method": "mcc"})
    complete = tmp_path / "settings.yaml"
    complete.write_text(yaml.safe_dump({**settings.flat(), "strength": [1.0]}))
    assert resolve({}, complete).strategy == settings.strategy


def test_a_run_that_was_begun_goes_on(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("plugin: adversarial\nmethod: mcc\nwidth: 64\n")
    assert resolve({}, file, resume=True).strategy.width == 64
