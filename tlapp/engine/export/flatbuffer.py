"""TFLite files as objects of TensorFlow's own schema, and back."""

from __future__ import annotations

from typing import Any

import flatbuffers


class _Builder(flatbuffers.Builder):
    """Aligns every vector to 16 bytes, as the TFLite schema asks of tensors."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(16, alignment))


def read(content: bytes) -> Any:
    """A TFLite file as a ModelT."""
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def write(model: Any) -> bytes:
    """A ModelT as a TFLite file."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
