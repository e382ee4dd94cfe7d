"""All that training knows, between two epochs: captured, written whole or not at all, and read back."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.errors import UserError
from tlapp.words import in_a_line
from tlapp.untrusted_files import keras_fault

VERSION = 4
ABOUT = ("phase", "epoch", "step", "terms", "best", "history")


class State(NamedTuple):
    """Where a run is.

    Attributes:
        phase: number of the phase, from 0.
        epoch, step: epochs of it that are complete, and steps of the next one.
        terms: {name: sum over those steps} of the loss.
        best: (validation loss, epoch) of the best weights so far.
        history: of all phases up to now, as lists that JSON can hold.
        variables: of the network, the optimizers and the random generators, in the order in which the phase lists them.
        kept: the best weights so far.
        solved: the head as a solver made it, in Keras's own format; empty where the head was built.
        base: the weights that alternative phases start from; empty where there are none.
        said: the class of each target picture, of every line of history that was judged there, (n,) int16.
        labels: of the target stream as the phase's labeller gave them, and their weights; empty where there is none.
        plain: the weights that the target's score has liked best before this phase; empty where it was not asked yet.
    """

    phase: int
    epoch: int
    step: int
    terms: dict[str, float]
    best: tuple[float, int]
    history: list[Any]
    variables: list[np.ndarray]
    kept: list[np.ndarray]
    solved: bytes = b""
    base: Sequence[np.ndarray] = ()
    said: Sequence[np.ndarray] = ()
    labels: Sequence[np.ndarray] = ()
    plain: Sequence[np.ndarray] = ()


ARRAYS = ("variables", "kept", "base", "said", "labels", "plain")


def write(path: Path, state: State) -> None:
    """Write a state; the file of that name stays until the new one is complete and checked."""
    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"version": VERSION, **{name: getattr(state, name) for name in ABOUT}}
    arrays = {f"{kind}-{i}": array for kind in ARRAYS for i, array in enumerate(getattr(state, kind))}
    arrays["solved"] = np.frombuffer(state.solved, np.uint8)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    try:
        with open(aside, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        with zipfile.ZipFile(aside) as archive:
            if bad := archive.testzip():
                raise OSError(f"{bad} was not written as it is")
        os.replace(aside, path)
    except (OSError, zipfile.BadZipFile) as error:
        aside.unlink(missing_ok=True)
        raise UserError(
            f"{path}: the checkpoint cannot be written: {getattr(error, 'strerror', None) or error}; "
            "the one before stays, from which the run can be resumed"
        ) from error


def read(path: Path) -> State | None:
    """The state in a file, or None where there is no file.

    Raises:
        UserError: it is damaged, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            if about["version"] != VERSION:
                raise UserError(f"{path}: is a checkpoint of version {about['version']}; this tlapp reads version {VERSION}")
            counts = {kind: sum(name.startswith(f"{kind}-") for name in file.files) for kind in ARRAYS}
            arrays: dict[str, Any] = {kind: [file[f"{kind}-{i}"] for i in range(count)] for kind, count in counts.items()}
            arrays |= {kind: tuple(arrays[kind]) for kind in ARRAYS[2:]}
            solved = file["solved"].tobytes()
        about["best"] = (float(about["best"][0]), int(about["best"][1]))
        return State(**{name: about[name] for name in ABOUT}, **arrays, solved=solved)
    except FileNotFoundError:
        return None
    except UserError:
        raise
    except Exception as error:  # zipfile, NumPy and json raise nearly anything for a damaged file
        advice = "remove it, and resuming begins the training anew"
        raise UserError(f"{path}: is no checkpoint, or a damaged one: {in_a_line(error)}; {advice}") from error


def values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Copies of variables' values."""
    return [np.array(variable) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray], where: Path) -> None:
    """Give variables their values back.

    Raises:
        UserError: they are not those that were written.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise UserError(f"{where}: the checkpoint does not fit this network; train again from the start")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def pack_layer(layer: Any, features: Any) -> bytes:
    """A built layer in Keras's own format."""
    import keras

    inputs = keras.Input(features.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.keras"
        keras.Model(inputs, layer(inputs)).save(path)
        return path.read_bytes()


def unpack_layer(content: bytes, where: Path) -> Any:
    """The layer that `pack_layer` packed.

    Raises:
        UserError: it holds what could run code, which no head does that was packed here.
    """
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.keras"
        path.write_bytes(content)
        if fault := keras_fault(path):
            raise UserError(f"{where}: its head is not to be trusted: {fault}; remove it, and resuming begins the training anew")
        return keras.saving.load_model(path, compile=False)
