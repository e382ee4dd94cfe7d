"""The command `tlapp`, and `python -m tlapp`."""

from __future__ import annotations

import _signal
import os


def main() -> None:
    """Run the command line; Ctrl-C while it is imported ends in a sentence as well."""
    _signal.signal(_signal.SIGINT, _leave)
    from tlapp.cli.main import main

    main()


def _leave(number: int, frame: object) -> None:
    os.write(2, b"tlapp: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
