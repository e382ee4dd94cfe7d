"""Fields as click options: what a person types, and what comes of it."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from tlapp.cli.options import click_options
from tlapp.contracts import Field, Options


class Settings(Options):
    """A yes or no, and a text."""

    fast: bool = Field(False, description="quick or thorough")
    data: str = Field("here", description="where it is")


@click.command(params=click_options(Settings))
def settings(**values):
    click.echo(Settings(**{key: value for key, value in values.items() if value is not None}))


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", "fast=False data='here'"),
        ("--fast", "fast=True data='here'"),
        ("--fast --data there", "fast=True data='there'"),
        ("--fast false --data there", "fast=False data='there'"),
        ("--fast=true", "fast=True data='here'"),
    ],
)
def test_a_yes_needs_no_value_and_takes_no_other_option_for_one(typed, values):
    assert CliRunner().invoke(settings, typed.split()).output.strip() == values


def test_the_help_says_that_the_value_may_be_left_out():
    assert "--fast [true|false]" in CliRunner().invoke(settings, ["--help"]).output
