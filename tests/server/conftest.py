"""Exports of one small model, and its run, written once."""

from __future__ import annotations

import shutil

import pytest
from helpers.served import network, write_export, write_run


@pytest.fixture(scope="session")
def colours(tmp_path_factory, tensorflow):
    """A folder with the run `run`, its exports `float`, `float16` and `int8`, and `whole`: the run that holds two of these."""
    folder, model = tmp_path_factory.mktemp("colours"), network()
    write_run(folder / "run", model)
    for name, quantize in (("float", "none"), ("float16", "float16"), ("int8", "int8")):
        write_export(folder / name, model, quantize)
    shutil.copytree(folder / "run", folder / "whole")
    for name, export in (("int8", "int8"), ("float", "tflite")):
        shutil.copytree(folder / name, folder / "whole" / "export" / export)
    return folder
