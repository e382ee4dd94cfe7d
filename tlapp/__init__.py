"""tlapp: transfer learning made practical."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # for type checkers; importing typing takes a while
    from tlapp.advice import advise, audit, find_lr
    from tlapp.api import load, train
    from tlapp.reuse import adapt, export, merge, merge_tasks, teach, undo_teach
    from tlapp.visuals import explain, report

__all__ = [
    "adapt", "advise", "audit", "explain", "export", "find_lr", "load", "merge", "merge_tasks", "report", "teach", "train",
    "undo_teach",
]  # fmt: skip
PLACES = {
    "advise": "advice", "audit": "advice", "find_lr": "advice", "load": "api", "train": "api",
    "explain": "visuals", "report": "visuals",
}  # fmt: skip
"""Verb -> its file; the others are in reuse.py."""


def __getattr__(name: str) -> object:
    """The verbs, imported when they are asked for: the command line is ready for Ctrl-C before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"tlapp.{PLACES.get(name, 'reuse')}"), name)
