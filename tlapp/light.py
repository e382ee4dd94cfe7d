"""Run code that must not need TensorFlow, and catch it if it does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

HEAVY = ("tensorflow", "keras", "keras_cv", "tf_keras", "tensorflow_hub", "torch", "jax")


@contextmanager
def light() -> Iterator[None]:
    """Make importing TensorFlow, Keras and their like an ImportError for a while, even where they are imported already."""
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in HEAVY}
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(HEAVY))  # type: ignore[arg-type]  # None is Python's own mark for "not to be imported"
    try:
        yield
    finally:
        for name in HEAVY:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
