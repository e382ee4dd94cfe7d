"""Import TensorFlow and call libraries without their chatter, or forbid its import for a while."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_importing = threading.RLock()
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
    with _importing:
        if not ("tensorflow" in sys.modules and "keras" in sys.modules):
            _import()


def _import() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with silenced():
        import keras
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        keras.utils.disable_interactive_logging()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep what libraries print inside off the screen; TensorFlow, LiteRT and ONNX write from C, out of Python's reach.

    A crash of the process still says where it happened. A reporter of ours writes to a copy of standard error made before.
    """
    with contextlib.ExitStack() as stack:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        for descriptor, file in ((1, sys.stdout), (2, sys.stderr)):
            _flush(file)
            copy = os.dup(descriptor)
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, descriptor)
            stack.callback(_flush, file)
            os.dup2(nowhere, descriptor)
        if not faulthandler.is_enabled():
            faulthandler.enable(copy)
            stack.callback(faulthandler.disable)
        yield


def _flush(file: Any) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or there is none
        file.flush()
