"""The README and the guide are true: their commands parse, their links lead somewhere, and a run's files are all named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tlapp.cli.main import tlapp
from tlapp.engine.runs import folder

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/guide.md", "docs/export.md", "docs/domains.md", "docs/serve.md", "docs/scale.md")
STRANGERS = ("last-one", "mine")
"""Plugins that a page speaks of and that are not installed here."""


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page):
    lines = re.findall(r"^ {4,}(?:\S+/bin/)?tlapp (.+)$", text(page), re.M)
    return [re.split(r" #| > | \\|\$seed", line.replace("$seed", "0"))[0].strip() for line in lines]


def rows():
    return sorted({command for page in PAGES for command in commands(page)})


def test_the_pages_hold_commands():
    assert len(commands("README.md")) >= 5
    assert len(commands("docs/guide.md")) >= 25


@pytest.mark.parametrize("command", [each for each in rows() if not any(name in each.split() for name in STRANGERS)])
def test_every_command_parses(command):
    parser, words, above = tlapp, shlex.split(command), None
    while isinstance(parser, click.Group) and words[0] not in ("--version", "--help"):
        above = click.Context(parser, parent=above, **parser.context_settings)
        parser, words = parser.get_command(above, words[0]), words[1:]
    try:
        parser.make_context("tlapp", list(words), parent=above)
    except click.exceptions.Exit as ended:
        assert ended.exit_code == 0  # --version and --help end here


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], anchor


def test_the_guide_names_every_file_of_a_run():
    section = text("docs/guide.md").partition("## The run folder")[2].partition("\n## ")[0]
    names = [
        value
        for value in vars(folder).values()
        if isinstance(value, str) and re.fullmatch(r"\w+\.(yaml|json|txt|csv|keras)", value)
    ]
    assert len(names) >= 7
    for name in (*names, folder.CHECKPOINTS, folder.EXPORTS):
        assert f"`{name}" in section, name
