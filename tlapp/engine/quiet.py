"""Import TensorFlow without its chatter."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _deaf(descriptor: int = 2) -> Iterator[None]:
    """Send a file descriptor to nowhere; TensorFlow writes to it from C, out of Python's reach."""
    sys.stderr.flush()
    kept = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)


def quiet_tensorflow() -> None:
    """Import TensorFlow and Keras; what they say at start-up stays off the screen."""
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _deaf():
        import keras
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        keras.utils.disable_interactive_logging()
