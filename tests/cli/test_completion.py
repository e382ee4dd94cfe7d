"""What a shell completes, in a real bash and zsh where there are any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tlapp.cli.completion import joined

BASH = """
eval "$(_TLAPP_COMPLETE=bash_source tlapp)"
compopt() { echo "($2)"; }
COMP_WORDS=(tlapp "$@"); COMP_CWORD=$#
_tlapp_completion tlapp
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() {}
eval "$(_TLAPP_COMPLETE=zsh_source tlapp)"
_path_files() { echo "($1)" }
compadd() { print -l -- ${(P)@[-1]} }
words=(tlapp "$@"); CURRENT=$#words
_tlapp_completion
"""
LITE = [f"efficientnet-lite{i}" for i in range(5)]
CASES = {
    ("train", "--backbone", "keras-cv", ":", "efficientnet-l"): LITE,
    ("train", "--backbone", "=", "keras-cv", ":", "efficientnet-lite4"): LITE[4:],
    ("backbones", "show", "keras-cv", ":", "vgg"): ["vgg16"],
    ("backbones", "show", "keras-"): ["keras-cv:", "keras-hub:"],
    ("train", "--backbone", "file", ":", "pic"): ["(default)"],
    ("train", "--plugin", "par"): ["partial"],
    ("train", "--plugin", "adversarial", "--method", "mc"): ["mcc"],
    ("train", "--data", ""): ["(default)"],
    ("train", "--resume", ""): ["(filenames)", "saved_models/half"],
    ("predict", "saved_models/"): ["(filenames)", "(filenames)", "saved_models/half", "saved_models/whole"],
    ("predict", "saved_models/whole/"): ["(default)"],
    ("train", "--resume", "elsewhere"): ["(dirnames)"],
    ("predict", "saved_models/whole", "pic"): ["(default)"],
    ("plugins", "show", "gra"): ["gradual"],
    ("cache", "clear", "ab"): ["ab" * 16],
    ("runs", ""): ["(dirnames)"],
}
"""Words as bash splits them -> what is completed; (default): names of files, (dirnames): of folders."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with runs, and the environment of a shell that finds this tlapp."""
    root = tmp_path_factory.mktemp("place")
    for name, files in (("half", ["settings.yaml"]), ("whole", ["settings.yaml", "metrics.json"]), ("none", [])):
        (root / "saved_models" / name).mkdir(parents=True)
        for age, file in enumerate(files):
            (root / "saved_models" / name / file).write_text("")
            os.utime(root / "saved_models" / name / file, (1_700_000_000 + (name == "half") - age,) * 2)
    (root / "cache").mkdir()
    (root / "cache" / f"{'ab' * 16}.rows").write_text("")
    (root / "bin").mkdir()
    command = root / "bin" / "tlapp"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tlapp "$@"\n')
    command.chmod(0o755)
    path = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return root, {**os.environ, "PATH": path, "TLAPP_CACHE": str(root / "cache")}


def completed(shell, script, words, place):
    root, env = place
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    quiet = {"bash": "--norc", "zsh": "-f"}[shell]
    done = subprocess.run(
        [shell, quiet, "-c", script, shell, *words], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_bash(words, place):
    assert completed("bash", BASH, words, place) == CASES[words]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("train", "--backbone", "keras-cv:efficientnet-l"), [f"keras-cv:{name}" for name in LITE]),
        (("train", "--resume", ""), ["saved_models/half"]),
        (("train", "--resume", "elsewhere"), ["(-/)"]),
        (("train", "--data", ""), ["(-f)"]),
    ],
)
def test_zsh(words, expected, place):
    assert completed("zsh", ZSH, words, place) == expected


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["train", "--backbone", "a", ":", "b"], ["train", "--backbone", "a:b"]),
        (["train", "--backbone", "a", ":"], ["train", "--backbone", "a:"]),
        (["--backbone", "=", "a", ":", "b", "--data", ""], ["--backbone", "a:b", "--data", ""]),
        (["--data", "="], ["--data", ""]),
        ([], [""]),
    ],
)
def test_words_that_bash_splits_are_joined(words, whole):
    assert joined(words) == whole


def test_completing_imports_no_tensorflow():
    code = (
        "import os, sys; os.environ |= {'_TLAPP_COMPLETE': 'bash_complete', 'COMP_WORDS': 'tlapp train --backbone keras-cv : v', "
        "'COMP_CWORD': '5'}\nfrom tlapp.cli.main import run\n"
        "try: run([])\nexcept SystemExit: print({'tensorflow', 'keras', 'sklearn', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["plain,vgg16", "set()"]
