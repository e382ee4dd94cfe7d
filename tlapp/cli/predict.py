"""tlapp predict."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tlapp.api import load
from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.fast import keep_fast
from tlapp.cli.options import json_option, task_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.standard_input import names_from
from tlapp.cli.usage import Command
from tlapp.engine.data.naming import Named, named
from tlapp.engine.data.reading import Bad
from tlapp.engine.runs.answer_file import answer_file, check_name, to_json
from tlapp.engine.runs.predictor import Prediction, Predictor
from tlapp.errors import UserError
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", metavar="MODEL", type=PATH, shell_complete=complete_runs)
@click.argument("files", type=PATH, nargs=-1, required=True, shell_complete=complete_files)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="K",
    help="How many labels a picture, the most probable first.  [default: 1; all above 0.5, where a picture can have several]",
)  # fmt: skip
@click.option(
    "--on-bad", type=click.Choice(["report", "skip", "fail"]), default="report",
    help="Files that cannot be read. report: classify the others, name these, and exit with code 2. skip: the same, but exit "
    "with code 0, and leave them out of --output. fail: stop at the first one, without any answer.  [default: report]",
)  # fmt: skip
@click.option(
    "--output",
    metavar="FILE",
    type=PATH,
    shell_complete=complete_files,
    help="Write the answers to FILE.csv (which --data takes) or FILE.jsonl.",
)
@click.option("--unfinished", is_flag=True, help="Use the best model so far of a run that was stopped.")
@task_option
@trust_option
@json_option
def predict(
    run: str,
    files: tuple[str, ...],
    top: int | None,
    on_bad: str,
    output: str | None,
    unfinished: bool,
    task: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Classify pictures or texts with a trained model.

    MODEL is the folder of a run, or an export: its folder, or the model file in it. FILES are pictures, folders of pictures or
    quoted globs; - reads their names from standard input, one a line. Where a model takes texts, they are texts in quotes, .txt
    files or folders of them; - reads texts, one a line.
    """
    if output:
        check_name(Path(output))
    model = load(run, trust=trust, unfinished=unfinished, task=task)
    answers = Answers(model, _named(files, model), top, on_bad)
    if output:
        answers.write(Path(output))
    elif as_json:
        answers.collect()
    else:
        answers.print()
    if as_json:
        click.echo(json.dumps({**answers.report, "bad": [to_json(each) for each in answers.bad]}))
    elif output:
        click.echo(printable(answers.summary(output)))
    if len(answers.bad) < answers.count:
        keep_fast(model, answers.sources)
    if answers.bad and on_bad == "report":
        raise UserError(f"{len(answers.bad)} of {answers.count} {model.input.noun}s cannot be read; each is named above")


class Answers:
    """The answers to what was named. What cannot be read is named on standard error, and kept in `bad`.

    Attributes:
        report: what JSON says besides the bad ones.
        sources: the examples.
    """

    def __init__(self, model: Predictor, asked: Named, top: int | None, on_bad: str):
        self.bad: list[Bad] = []
        self.report: dict[str, Any] = {}
        self.count = len(asked.sources)
        self.sources = asked.sources
        self._model, self._named, self._top, self._on_bad = model, asked, top, on_bad

    def print(self) -> None:
        """A line an example, as they come."""
        screen = Screen()  # not entered: its bars would take over standard output
        for note in self._named.notes:
            screen.note(note)
        try:
            for answer in self._given():
                if isinstance(answer, Prediction):
                    click.echo(f"{printable(self._model.input.title(answer.file))}: {self._words(answer)}")
        except BrokenPipeError:  # such as `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
            raise click.exceptions.Exit(128 + signal.SIGPIPE) from None

    def _words(self, answer: Prediction) -> str:
        if self._model.labelling.scale:
            return f"{answer.value:.6g}"
        labels = ", ".join(f"{label} {probability:.4f}" for label, probability in answer.labels) or "no label above 0.5"
        return f"unknown ({labels})" if answer.known is False else labels

    def collect(self) -> None:
        """Keep all for one JSON object."""
        self.report = {"predictions": [to_json(each) for each in self._followed() if isinstance(each, Prediction)]}

    def write(self, path: Path) -> None:
        """Write them to a file."""
        with answer_file(path, self._model, self._top) as writer:
            for answer in self._followed():
                if isinstance(answer, Prediction) or self._on_bad == "report":
                    writer.write(answer)
        self.report = {"output": str(path), "count": self.count - len(self.bad)}

    def summary(self, output: str) -> str:
        """What was written, for people."""
        unread = f", {len(self.bad)} cannot be read" if self.bad else ""
        return f"{output}: {self.count - len(self.bad)} {self._model.input.noun}s classified{unread}"

    def _followed(self) -> Iterator[Prediction | Bad]:
        """The answers, with a bar that shows how far they are."""
        with Screen() as screen:
            for note in self._named.notes:
                screen.note(note)
            for number, answer in enumerate(self._given(), 1):
                screen.progress("classifying", number, self.count)
                yield answer

    def _given(self) -> Iterator[Prediction | Bad]:
        answers = self._model.answers(self._named.sources, self._top, self._named.bad)
        if self._on_bad != "fail":
            return map(self._told, answers)
        return iter([self._told(answer) for answer in answers])  # all of them first: nothing is printed where one is bad

    def _told(self, answer: Prediction | Bad) -> Prediction | Bad:
        if isinstance(answer, Bad):
            if self._on_bad == "fail":
                raise UserError(f"{self._model.input.title(answer.source)}: {answer.reason}")
            self.bad.append(answer)
            click.echo(printable(f"cannot be read: {self._model.input.title(answer.source)}: {answer.reason}"), err=True)
        return answer


def _named(files: tuple[str, ...], model: Predictor) -> Named:
    """The examples that FILES stand for.

    Raises:
        UserError: they are read from standard input, and there are none.
    """
    noun = f"{model.input.noun}s"
    what = f"the names of {noun}" if model.input.column == "path" else noun
    names = [name for file in files for name in (names_from(sys.stdin, what) if file == "-" else [file])]
    if not names:
        raise UserError(f"standard input names no {noun}")
    return named(names, model.input)
