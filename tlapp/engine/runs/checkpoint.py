"""All that training knows between two steps: packed by its owners, written whole or not at all, and read back."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tlapp.errors import UserError
from tlapp.untrusted_files import keras_fault
from tlapp.words import in_a_line

VERSION = 6
_INDEX = "owners"


class Pack(NamedTuple):
    """What one owner needs to go on: facts that JSON can hold, and arrays."""

    facts: dict[str, Any]
    arrays: Sequence[np.ndarray] = ()


class Owner(Protocol):
    """A part of training with a state of its own."""

    def pack(self) -> Pack:
        """The present state, copied."""
        ...

    def unpack(self, pack: Pack) -> None:
        """Go back to a packed state.

        Raises:
            Misfit: it was packed by another network.
        """
        ...


class Misfit(ValueError):
    """A pack is not of this network."""


class Checkpoint:
    """The owners of a run's state, and the file that holds their packs.

    An owner that joins while its pack of an earlier process is there gets it at once: resuming is no more than that.
    """

    def __init__(self, path: Path):
        self.path = path
        self._owners: dict[str, Owner] = {}
        self._earlier: dict[str, Pack] = {}
        self._latest: dict[str, Pack] = {}

    def read(self) -> None:
        """Take the packs that an earlier process wrote, if it wrote any."""
        self._earlier = read(self.path)
        self._latest = dict(self._earlier)

    def join(self, name: str, owner: Owner) -> bool:
        """Take an owner on, and say whether it went back to an earlier state.

        Raises:
            UserError: the state does not fit this network.
        """
        self._owners[name] = owner
        pack = self._earlier.pop(name, None)
        if pack is None:
            return False
        try:
            owner.unpack(pack)
        except (Misfit, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{self.path}: the checkpoint does not fit this network; train again from the start") from error
        return True

    def leave(self, *names: str) -> None:
        """Let owners go, as a phase ends."""
        for name in names:
            self._owners.pop(name, None)

    def capture(self) -> None:
        """Pack the present state of all owners, to be written by `write`."""
        self._latest = {name: owner.pack() for name, owner in self._owners.items()}

    def write(self) -> None:
        """Write what was captured last, if anything was."""
        if self._latest:
            write(self.path, self._latest)


def write(path: Path, packs: dict[str, Pack]) -> None:
    """Write packs by owner; the file of that name stays until the new one is complete and checked.

    Raises:
        UserError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    index = {name: {"facts": pack.facts, "arrays": len(pack.arrays)} for name, pack in packs.items()}
    arrays = {f"{name}-{i}": array for name, pack in packs.items() for i, array in enumerate(pack.arrays)}
    arrays[_INDEX] = np.frombuffer(json.dumps({"version": VERSION, _INDEX: index}).encode(), np.uint8)
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
            "the one before stays, and the run can be resumed from it"
        ) from error


def read(path: Path) -> dict[str, Pack]:
    """The packs in a file, by owner; none where there is no file.

    Raises:
        UserError: it is damaged, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file[_INDEX if _INDEX in file else "about"].tobytes())
            if about["version"] != VERSION:
                raise UserError(f"{path}: is a checkpoint of version {about['version']}; this tlapp reads version {VERSION}")
            return {
                name: Pack(entry["facts"], [file[f"{name}-{i}"] for i in range(entry["arrays"])])
                for name, entry in about[_INDEX].items()
            }
    except FileNotFoundError:
        return {}
    except UserError:
        raise
    except Exception as error:  # zipfile, NumPy and json raise nearly anything for a damaged file
        advice = "remove it, and resuming begins the training anew"
        raise UserError(f"{path}: is not a checkpoint, or is damaged: {in_a_line(error)}; {advice}") from error


def values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Copies of variables' values."""
    return [np.array(variable) for variable in variables]


def must_fit(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Check that arrays have the shapes of variables.

    Raises:
        Misfit: they have not.
    """
    if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
        raise Misfit


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Give variables these values.

    Raises:
        Misfit: they are not those that were packed.
    """
    must_fit(variables, arrays)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


class Stored:
    """An owner of variables: their values are its state.

    Args:
        variables: gives them; asked anew each time, as the head may be replaced.
    """

    def __init__(self, variables: Callable[[], Sequence[Any]]):
        self._variables = variables

    def pack(self) -> Pack:
        return Pack({}, values(self._variables()))

    def unpack(self, pack: Pack) -> None:
        assign(self._variables(), pack.arrays)


def pack_layer(layer: Any, features: Any) -> bytes:
    """A built layer in Keras's own format."""
    import keras

    inputs = keras.Input(features.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.keras"
        keras.Model(inputs, layer(inputs)).save(path)
        return path.read_bytes()


def unpack_layer(content: bytes) -> Any:
    """The layer that `pack_layer` packed.

    Raises:
        UserError: it holds what could run code, which no head does that was packed here.
    """
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.keras"
        path.write_bytes(content)
        if fault := keras_fault(path):
            raise UserError(
                f"the checkpoint's head is not to be trusted: {fault}; remove the checkpoint, and resuming begins anew"
            )
        return keras.saving.load_model(path, compile=False)
