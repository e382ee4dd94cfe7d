"""Metadata in a TFLite file, by the public TFLite metadata schema: labels, normalisation, name, author, version."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np

from tlapp.contracts.input_export import Attachment, Feature, InputExport, ProcessUnit
from tlapp.engine.export import flatbuffer
from tlapp.engine.export.facts import Reading, checked
from tlapp.engine.export.interpreter import plain
from tlapp.engine.network.known import OUTPUT
from tlapp.engine.runs.folder import LABELS, label_lines

BUFFER = "TFLITE_METADATA"
INPUT = "tlapp.json"
"""The file, zipped behind a TFLite file beside the labels, that says how an example is read and labelled, as golden.json does."""
# Enumerators and union members, by their numbers in the schema.
FEATURE, IMAGE, NORMALIZATION, RGB, AXIS_LABELS = 1, 2, 1, 1, 2


class Facts(NamedTuple):
    """What the file says about itself.

    Attributes:
        thresholds: label -> the probability of the trained head from which it is answered, and for which 0.5 stands in what the
            file answers; None of a head that chose none.
    """

    name: str
    description: str
    version: str
    author: str
    licence: str
    labels: Sequence[str]
    thresholds: Mapping[str, float] | None = None


class Byte(int):
    """A field of one byte."""


class Table(dict[int, Any]):
    """A FlatBuffers table: field number -> value."""


def add(content: bytes, facts: Facts, takes: InputExport, reading: Mapping[str, Any] | None = None) -> bytes:
    """A TFLite file with metadata, and files zipped behind it.

    Args:
        takes: describes its inputs.
        reading: how an example is read and labelled, in the words of golden.json.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = flatbuffer.read(content)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    output = _number() if (reading or {}).get("labelling") == "number" else _probabilities(facts.thresholds)
    units = takes.process_units()
    outputs = [_known() if name == OUTPUT else output for name in _outputs(model)]
    buffer.data = np.frombuffer(packed(facts, in_order(model, takes.features()), outputs, units), np.uint8)
    entry.name, entry.buffer = BUFFER, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    files = {LABELS: label_lines(facts.labels).encode(), **{each.name: each.content for unit in units for each in unit.files}}
    if reading:
        own = {"thresholds": dict(facts.thresholds)} if facts.thresholds else {}
        files[INPUT] = json.dumps({**reading, **own}).encode()
    return with_files(flatbuffer.write(model), files)


def in_order(model: Any, features: Sequence[Feature]) -> list[Feature]:
    """Features in the order in which a file holds its inputs."""
    if len(features) == 1:
        return list(features)
    graph, by_name = model.subgraphs[0], {feature.name: feature for feature in features}
    return [by_name[plain(graph.tensors[number].name.decode())] for number in graph.inputs]


def _outputs(model: Any) -> list[str]:
    """The outputs of a file, in its order: `known`, and "" for any other."""
    names = {
        each.tensorIndex: each.name.decode() for signature in (model.signatureDefs or ())[:1] for each in signature.outputs
    }  # fmt: skip
    known = [number for number in model.subgraphs[0].outputs if names.get(number) == OUTPUT]
    return [OUTPUT if number in known else "" for number in model.subgraphs[0].outputs] if known else [""]


def with_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """Files zipped behind a TFLite file, not compressed, so that a phone can read them in place."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, inside in files.items():
            archive.writestr(zipfile.ZipInfo(name), inside)
    return stream.getvalue()


def read_labels(path: Any) -> tuple[str, ...]:
    """The labels inside a TFLite file."""
    with zipfile.ZipFile(path) as archive:
        return tuple(archive.read(LABELS).decode().splitlines())


def read_reading(path: Path) -> dict[str, Any]:
    """How an example for a TFLite file is read and labelled, as golden.json says it; empty in files that do not say.

    Raises:
        UserError: it was altered, so that it no longer says what is needed.
    """
    with zipfile.ZipFile(path) as archive:
        return checked(archive.read(INPUT), Reading, path / INPUT) if INPUT in archive.namelist() else {}


def packed(facts: Facts, features: Sequence[Feature], outputs: list[Table], units: Sequence[ProcessUnit] = ()) -> bytes:
    """The metadata as a FlatBuffer of the type ModelMetadata; `outputs` describe the model's outputs, in its order."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_put(builder, _model(facts, features, outputs, units)), b"M001")
    return bytes(builder.Output())


def _model(facts: Facts, features: Sequence[Feature], outputs: list[Table], units: Sequence[ProcessUnit]) -> Table:
    subgraph = Table({0: facts.name, 2: [_input(feature) for feature in features], 3: outputs})
    if units:
        subgraph[5] = [Table({0: Byte(unit.options), 1: Table({0: [*map(_file, unit.files)]})}) for unit in units]
    known = {0: facts.name, 1: facts.description, 2: facts.version, 3: [subgraph], 4: facts.author, 5: facts.licence, 7: "1.0.0"}
    return Table({field: value for field, value in known.items() if value})


def _input(feature: Feature) -> Table:
    content = Table({0: Byte(IMAGE), 1: Table({0: Byte(RGB)})}) if feature.is_image else Table({0: Byte(FEATURE), 1: Table()})
    table = Table({0: feature.name, 1: feature.description, 3: content})
    if feature.is_image:  # mean 0 and deviation 1: the network takes pixels as they are
        table[4] = [Table({0: Byte(NORMALIZATION), 1: Table({0: [0.0], 1: [1.0]})})]
    if feature.low is not None and feature.high is not None:
        table[5] = Table({0: [feature.high], 1: [feature.low]})
    return table


def _file(attachment: Attachment) -> Table:
    return Table({0: attachment.name, 1: attachment.description, 2: Byte(attachment.kind)})


def read_file(path: Path, name: str) -> bytes:
    """A file inside a TFLite file.

    Raises:
        KeyError: it holds none of that name.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _probabilities(thresholds: Mapping[str, float] | None = None) -> Table:
    labels = Table({0: LABELS, 1: "A class a line, in the order of the probabilities.", 2: Byte(AXIS_LABELS)})
    content = Table({0: Byte(FEATURE), 1: Table()})
    words = f"A probability a class{', shifted so that each label is answered above 0.5' if thresholds else ''}."
    return Table({0: "probabilities", 1: words, 3: content, 5: Table({0: [1.0], 1: [0.0]}), 6: [labels]})


def _known() -> Table:
    content = Table({0: Byte(FEATURE), 1: Table()})
    words = "From 0.5 on the example is like those that the model was trained on; below, its class is unknown."
    return Table({0: OUTPUT, 1: words, 3: content, 5: Table({0: [1.0], 1: [0.0]})})


def _number() -> Table:
    return Table({0: "value", 1: "The number, in the unit of the labels.", 3: Table({0: Byte(FEATURE), 1: Table()})})


def _put(builder: Any, value: Any) -> int:
    """Write text, a list or a table; return where."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        return _put_list(builder, value)
    inside = {field: each if isinstance(each, Byte) else _put(builder, each) for field, each in value.items()}
    builder.StartObject(max(value, default=-1) + 1)
    for field, each in inside.items():
        if isinstance(each, Byte):
            builder.PrependByteSlot(field, each, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, each, 0)
    return builder.EndObject()


def _put_list(builder: Any, values: list[Any]) -> int:
    floats = all(isinstance(value, float) for value in values)
    inside = values if floats else [_put(builder, value) for value in values]
    builder.StartVector(4, len(inside), 4)
    for each in reversed(inside):
        (builder.PrependFloat32 if floats else builder.PrependUOffsetTRelative)(each)
    return builder.EndVector()
