"""Model files from elsewhere: what is in them is looked at before they are opened, and nothing of them is run for that."""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from tlapp.errors import UserError
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.words import in_a_line

RISK = "With option trust it is opened anyway; whoever made the file could then run code and change files with your rights"

CODE = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Keras's layers whose saved form brings code along."""
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_PACKAGES = frozenset({"keras", "keras_cv", "keras_hub", "keras_nlp", "builtins", ""})

MOST_RATIO, RATIO_FROM = 100, 16 << 20
"""Keras stores without compression, and deflated weights shrink little: beyond this ratio a large member is a bomb."""
MOST_CONFIG = 256 << 20
"""Bytes of a config.json: NASNetLarge's takes one MiB."""

_FILES = ("Save", "Restore", "MergeV2Checkpoints", "ReadFile", "WriteFile", "MatchingFiles", "ImmutableConst",
          "InitializeTableFromTextFile", "GenerateVocabRemapping", "DecodeProto", "EncodeProto", "PyFunc", "EagerPyFunc",
          "XlaCustomCall", "Abort", "Print", "Rpc", "Debug", "Dump")  # fmt: skip
"""How the names of operations begin that read or write files, run Python or reach for other machines."""
_HARMLESS = ("Read", "Assign", "Resource", "Var", "Stateful", "Stateless", "Random", "Partitioned", "Placeholder", "Assert",
             "HashTable", "MutableHashTable", "LookupTable", "If", "While", "Case", "RngSkip", "RngReadAndSkip", "Variable",
             "Multinomial", "TruncatedNormal", "ParameterizedTruncatedNormal", "StridedSliceAssign", "FusedBatchNorm",
             "Destroy", "IsVariableInitialized", "Anonymous", "TensorArray", "TensorList", "Stack", "EmptyTensorList",
             "SampleDistortedBoundingBox", "NoOp", "AudioSpectrogram", "Scatter", "DummySeedGenerator",
             "DisableCopyOnRead")  # fmt: skip
"""How the names of stateful operations begin that do no more than keep state or draw numbers."""


def refuse(fault: str, file: str | Path, option: str | None = None) -> None:
    """Raise a UserError for a fault of a file, if there is one; `option` is the one that names the file, if one does."""
    if fault:
        raise UserError(f"{fault}. {RISK}", file, option) if option else UserError(f"{file}: {fault}. {RISK}")


def keras_fault(path: Path, known: Collection[str] = ()) -> str:
    """What is dangerous in a .keras file; "" where nothing is, or where it is no zip file at all, which Keras says itself.

    Args:
        known: names of classes that the caller brings.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError):
        return ""
    with archive:
        try:
            return _archive_fault(archive, path.stat().st_size) or _content_fault(archive, known)
        except (RecursionError, MemoryError):
            return "its config.json is nested too deeply, or too large"
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
            return f"one of its members cannot be read, so it cannot be checked ({in_a_line(error)})"


def saved_model_fault(folder: Path) -> str:
    """What is dangerous in a SavedModel; "" where nothing is, or where there is none, which TensorFlow says itself."""
    other = [name for name in ("saved_model.pbtxt", "saved_model.cpb") if (folder / name).exists()]
    if other:
        return f"it holds {other[0]}, which cannot be checked; save it again as saved_model.pb"
    path = folder / "saved_model.pb"
    return graph_fault(path.read_bytes()) if path.is_file() else ""


def graph_fault(content: bytes) -> str:
    """What is dangerous in the bytes of a saved_model.pb: operations on files, Python code, files outside its folder."""
    quiet_tensorflow()
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(content)
    except DecodeError:
        return ""
    modern = len(saved.meta_graphs) == 1 and saved.meta_graphs[0].HasField("object_graph_def")
    for meta in saved.meta_graphs:
        for asset in meta.asset_file_def:
            if _leaves(asset.filename):
                return f"its asset {asset.filename} lies outside its folder"
        for operation in _operations(meta, modern):
            if _touches(operation):
                return f"its graph holds the operation {operation}, which can reach files, run code or talk to other machines"
    return ""


def _archive_fault(archive: zipfile.ZipFile, size: int) -> str:
    members = archive.infolist()
    for member in members:
        if _leaves(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
            return f"its member {member.filename} would lie outside the folder that it is unpacked in"
        if member.file_size > max(RATIO_FROM, MOST_RATIO * member.compress_size):
            return f"its member {member.filename} unpacks {member.compress_size} bytes to {member.file_size}: a bomb"
    if len({member.filename for member in members}) < len(members):
        return "it holds two members with the same name"
    if sum(member.compress_size for member in members) > size:
        return "its members overlap"
    if (total := sum(member.file_size for member in members)) > max(RATIO_FROM, MOST_RATIO * size):
        return f"its members unpack {size} bytes to {total}: a bomb"
    return ""


def _content_fault(archive: zipfile.ZipFile, known: Collection[str]) -> str:
    for name in archive.namelist():
        if name == "config.json":
            if archive.getinfo(name).file_size > MOST_CONFIG:
                return "its config.json is too large"
            if fault := _config_fault(archive.read(name), known):
                return fault
        elif name.lower().endswith((".pbtxt", ".cpb")):  # there are disks that take both for the same
            return f"it holds {name}, which cannot be checked"
        elif name.lower().endswith("saved_model.pb") and (fault := graph_fault(archive.read(name))):
            return fault
    return ""


def _config_fault(content: bytes, known: Collection[str]) -> str:
    try:
        config = json.loads(content)
    except ValueError:
        return ""
    from keras.saving import get_custom_objects

    known = {*known, *get_custom_objects()}
    return next(filter(None, (_object_fault(each, known) for each in _dictionaries(config))), "")


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _object_fault(config: dict[str, Any], known: Collection[str]) -> str:
    """What is dangerous about one object of a configuration."""
    name, module = config.get("class_name"), config.get("module")
    if not isinstance(name, str):
        return ""
    if name in CODE or (name.startswith("__") and name not in _VALUES):
        return f"it holds a {name.strip('_')}, whose code is in the file or beside it"
    if name in known or str(config.get("registered_name")) in known:
        return ""
    if str(module or "").partition(".")[0] not in _PACKAGES:
        return f"it holds {name} of the module {module}, which is not part of Keras; install and import the package that has it"
    return ""


def _operations(meta: Any, modern: bool) -> Iterator[str]:
    """The names of the operations of a meta graph.

    Those of its saver are left out where the format is TensorFlow 2's: what loads that calls only an older one's.
    """
    functions = {each.signature.name: each.node_def for each in meta.graph_def.library.function}
    savers = (meta.saver_def.save_tensor_name, meta.saver_def.restore_op_name) if modern else ()
    saver = {name.partition(":")[0] for name in savers}
    waiting: list[Iterable[Any]] = [[node for node in meta.graph_def.node if node.name not in saver]]
    named = set(meta.object_graph_def.concrete_functions) & set(functions)
    waiting += [functions[name] for name in named]
    while waiting:
        for node in waiting.pop():
            called = {node.op} & set(functions)
            for value in node.attr.values():
                called |= {value.func.name, *(each.name for each in value.list.func)} & set(functions)
            waiting += [functions[name] for name in called - named]
            named |= called
            if node.op not in functions:
                yield node.op


def _touches(operation: str) -> bool:
    """Whether an operation can do more than compute."""
    from tensorflow.python.framework import op_def_registry

    if operation.startswith(_FILES) or "Dataset" in operation or "Iterator" in operation:
        return True
    known = op_def_registry.get(operation)
    return known is not None and known.is_stateful and not operation.startswith(_HARMLESS)


def _leaves(name: str) -> bool:
    """Whether a path leads out of the folder that it is relative to."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or ":" in plain.partition("/")[0]
