"""Import TensorFlow without its chatter, or forbid its import for a while."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

HEAVY = ("tensorflow", "keras", "keras_cv", "tf_keras", "tensorflow_hub", "torch", "jax")


@contextlib.contextmanager
def forbid_tensorflow() -> Iterator[None]:
    """Make importing TensorFlow, Keras and similar packages an ImportError for a while, even where they are already imported."""
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


def quiet_tensorflow() -> None:
    """Import TensorFlow and Keras; what they print at start-up stays off the screen."""
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _silenced():
        import keras
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        keras.utils.disable_interactive_logging()


@contextlib.contextmanager
def _silenced(descriptor: int = 2) -> Iterator[None]:
    """Send a file descriptor to nowhere: TensorFlow writes to it from C, out of Python's reach."""
    sys.stderr.flush()
    copy = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(copy, descriptor)
        os.close(copy)
        os.close(nowhere)
