"""What this machine has, as far as it is known without TensorFlow: versions, extras, weights, memory, disk; and what to do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

from tlapp.backbones.efficientnet_lite import RELEASES
from tlapp.backbones.keras_applications import keras_folder
from tlapp.engine.cache import store
from tlapp.engine.memory import memory_bytes
from tlapp.errors import UserError
from tlapp.words import bytes_in_words

NEEDED = ("tlapp", "tensorflow", "keras", "keras-cv", "tensorflow-hub", "scikit-learn", "pillow", "ai-edge-litert", "flatbuffers")
EXTRAS = {
    "export to onnx": (("tf2onnx", "onnxruntime"), "pip install 'tlapp[onnx]'"),
    "plots": (("matplotlib",), "pip install 'tlapp[plots]'"),
    "tune": (("optuna",), "pip install 'tlapp[tune]'"),
    "serve": (("starlette", "uvicorn", "python_multipart"), "pip install 'tlapp[serve]'"),
    "trials and fronts on Ray": (("ray",), "pip install 'tlapp[ray]'"),
    "HEIC pictures": (("pillow_heif",), "pip install 'tlapp[heif]'"),
    "keras-hub": (("keras_hub",), "pip install keras-hub"),
}
SUFFIXES = (".h5", ".keras")
LITTLE_DISK = 5e9
"""Bytes: activations and decoded pictures of a few thousand pictures take about so much."""


class Fact(NamedTuple):
    """A line of the report: for people, for programs, and what to do about it where something is missing."""

    name: str
    words: str
    value: Any
    advice: str = ""

    @property
    def line(self) -> str:
        return f"{self.name:28} {self.words}" + (f" -> {self.advice}" if self.advice else "")


def facts() -> Iterator[Fact]:
    """Everything, in the order in which it is printed."""
    yield Fact("python", platform.python_version(), platform.python_version())
    for name in NEEDED:
        version = _version(name)
        yield Fact(name, version or "no: not installed", version, "" if version else f"pip install {name}")
    for name, (modules, install) in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        words = f"no: {', '.join(missing)} not installed" if missing else "yes"
        yield Fact(name, words, not missing, install if missing else "")
    yield from _weights()
    yield from _processor()
    yield from _cache()


def device_fact(devices: list[str]) -> Fact:
    """Whether TensorFlow has a GPU, of its kinds of devices."""
    gpus = sum(device == "GPU" for device in devices)
    advice = "training uses the processor; with an NVIDIA GPU on Linux: pip install 'tensorflow[and-cuda]'"
    return Fact("GPU", f"yes: {gpus}" if gpus else "no", gpus, "" if gpus else advice)


def _weights() -> Iterator[Fact]:
    for name, release in RELEASES.items():
        here = _version(release.distribution) is not None
        install = f"pip install {release.distribution if release.extra == 'tlapp' else repr(release.extra)}"
        yield Fact(f"weights {name}", "yes" if here else "no", here, "" if here else install)
    folder = keras_folder()
    files = sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES)
    size = bytes_in_words(sum(file.stat().st_size for file in files))
    words = f"{len(files)} ({size}) in {folder}: {', '.join(file.name for file in files)}" if files else f"none in {folder}"
    advice = "" if files else "a backbone such as keras:MobileNetV2 downloads its file when it is first used"
    yield Fact("weights keras.applications", words, {"folder": str(folder), "files": [file.name for file in files]}, advice)


def _processor() -> Iterator[Fact]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Fact("cores", f"{os.cpu_count()}" + ("" if usable == os.cpu_count() else f", {usable} usable"), usable)
    total, available = memory_bytes()
    words = bytes_in_words(total) if total else "unknown"
    words += f", {bytes_in_words(available)} available" if available else ""
    yield Fact("memory", words, {"total": total, "available": available})


def _cache() -> Iterator[Fact]:
    folder = store.folder()
    yield Fact("cache folder", str(folder), str(folder))
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        yield Fact("cache", "no: the folder cannot be written", None, "set TLAPP_CACHE to a folder that can be written")
        return
    used, free = sum(entry.bytes for entry in store.entries()), shutil.disk_usage(place).free
    try:
        limit, advice = store.limit(), ""
    except UserError as error:
        limit, advice = None, str(error)
    if free < LITTLE_DISK and not advice:
        advice = "set TLAPP_CACHE to a folder on another disk, or run `tlapp cache clear`"
    words = (
        f"{bytes_in_words(used)} used, limit {bytes_in_words(limit) if limit else 'unknown'}, {bytes_in_words(free)} of disk free"
    )
    yield Fact("cache", words, {"used": used, "limit": limit, "free": free}, advice)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
