"""tlapp: transfer learning made practical."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # for type checkers; importing typing takes a while
    from tlapp.api import load, train
    from tlapp.reuse import adapt, advise, export, merge, merge_tasks, teach, undo_teach

__all__ = ["adapt", "advise", "export", "load", "merge", "merge_tasks", "teach", "train", "undo_teach"]


def __getattr__(name: str) -> object:
    """The verbs, imported when they are asked for: the command line is ready for Ctrl-C before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("load", "train"):
        from tlapp import api as verbs
    else:
        from tlapp import reuse as verbs  # type: ignore[no-redef]

    return getattr(verbs, name)
