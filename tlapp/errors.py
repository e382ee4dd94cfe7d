"""The errors, by who can fix them. Any other exception is a bug in tlapp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class TlappError(Exception):
    """Base of the errors that end in a sentence instead of a traceback."""

    exit_code = 1
    ag_pass_through = True  # TensorFlow's tracing raises it again as it is, and not another one with a text of its own
    resumable: Path | None = None
    """The folder of the run that can be resumed after this error, if there is one."""


class UserError(TlappError):
    """The user can fix it: an option, a file, a setting.

    Args:
        message: one sentence: what is wrong, what would be right. It spells other options `option last=1` or `option last`.
        received: the offending value.
        option: the name of the option that holds it, which is then put in front of the message.

    Attributes:
        origin: how the user gave the option, with its value: "--last 19", "run.yaml: last: 19" or "last=19"; "" if unknown.
        plugin_name: of the plugin that raised it while a run was under way, which stands in front where no option does; else "".
    """

    exit_code = 2

    def __init__(self, message: str, received: object = None, option: str | None = None):
        super().__init__(message)
        self.received, self.option, self.origin, self.plugin_name = received, option, "", ""

    def __str__(self) -> str:
        value = "" if self.received is None else f"={self.received}"
        prefix = self.origin or (f"option {self.option}{value}" if self.option else self.plugin_name)
        return f"{prefix}: {self.args[0]}" if prefix else str(self.args[0])


class UserErrors(UserError):
    """Several mistakes of the user's at once; str() gives a line each."""

    def __init__(self, errors: Sequence[UserError]):
        super().__init__("; ".join(error.args[0] for error in errors))
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def each_of(error: UserError) -> tuple[UserError, ...]:
    """The mistakes that an error tells of."""
    return error.errors if isinstance(error, UserErrors) else (error,)


def all_of(errors: Sequence[UserError]) -> UserError:
    """One error that tells of all of these."""
    return errors[0] if len(errors) == 1 else UserErrors(errors)


class PluginError(TlappError):
    """A plugin broke the contract.

    Args:
        message: one sentence: what is wrong, what would be right.
        plugin_name: as the attribute, where it is known.

    Attributes:
        plugin_name: the plugin's kind, name, distribution and version, which str() puts in front of the message; "" if unknown.
    """

    exit_code = 3

    def __init__(self, message: str, plugin_name: str = ""):
        super().__init__(message)
        self.message, self.plugin_name = message, plugin_name

    def __str__(self) -> str:
        return f"{self.plugin_name}: {self.message}" if self.plugin_name else self.message
