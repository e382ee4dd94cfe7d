"""How an exported model takes pictures: whole numbers, encoded files, PNG vectors, and programs that prepare a picture alike."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlapp.contracts.input_export import Arrays, Endpoint, Feature, InputExport, Snippet
from tlapp.engine.inputs import square
from tlapp.engine.inputs.phone_programs import program

SQUARE = {
    "squash": "squashed to a square",
    "crop": "cut to its centre square",
    "pad": "fitted into a square with black bars",
}
"""How a picture that is not square becomes one, in words."""
_IMPORTS = "from PIL import Image\n"
_PREPARE = """

{square}


with Image.open(sys.argv[1]) as picture:  # HEIC: pip install pillow-heif, then pillow_heif.register_heif_opener()
    pixels = square(picture, shapes["image"][1], "{resize}")
inputs = {"image": pixels[None]}  # the values stay 0 to 255: the model scales them itself"""


@dataclass(frozen=True)
class ImageExport(InputExport):
    """How an exported model takes square pictures of `size` pixels a side."""

    names: tuple[str, ...] = ("image",)
    noun: str = "picture"
    size: int = 0
    resize: str = "squash"

    task = "image-classification"
    dataset = "imagefolder"
    integers = True
    file_suffixes = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif")

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "kind": "image", "size": self.size, "resize": self.resize}

    def report(self) -> dict[str, Any]:
        return {"image_size": self.size}

    def endpoints(self) -> Mapping[str, Endpoint]:
        square, (name,) = (None, self.size, self.size, 3), self.names
        return {
            "serve_uint8": Endpoint({name: (square, "uint8")}),
            "serve_bytes": Endpoint({"contents": ((None,), "string")}, self._decoded),
        }

    def save(self, example: Sequence[np.ndarray], stem: Path) -> Path:
        path = stem.with_name(f"{stem.name}.png")
        Image.fromarray(example[0]).save(path)
        return path

    def features(self) -> Sequence[Feature]:
        (name,) = self.names
        return [Feature(name, f"A picture {SQUARE[self.resize]}, RGB, values 0 to 255.", True, 0.0, 255.0)]

    def snippet(self) -> Snippet:
        quoted = inspect.getsource(square).partition(_IMPORTS)[2].partition("\n\n")[2].strip().replace("  # fmt: skip", "")
        return Snippet("PICTURE", _IMPORTS, _PREPARE.replace("{square}", quoted).replace("{resize}", self.resize))

    def phone_program(self, language: str, labelling: str) -> str | None:
        return None if labelling == "number" else program(language, labelling, self.resize)

    def samples(self, examples: Arrays) -> Iterator[list[np.ndarray]]:
        for number, arrays in enumerate(super().samples(examples)):
            if number == 0:  # the whole range, so that a step of the input is one step of a pixel
                arrays[0][0, 0, 0], arrays[0][0, -1, -1] = 0, 255
            yield arrays

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        side, square = self.size, SQUARE[self.resize]
        return (
            f"Give it RGB pictures of {side} x {side} of values 0 to 255, {square}: it scales them itself. The program "
            "below reads a file as training did. The endpoint serve_bytes of a SavedModel reads JPEG, PNG, WebP, GIF and "
            "BMP files, and no TIFF, AVIF or HEIC."
        )

    def _decoded(self, contents: Any) -> Sequence[Any]:
        from tlapp.engine.inputs import decode_in_graph

        return [decode_in_graph.squares(contents, self.size, self.resize)]


def read_vector(path: Path) -> tuple[np.ndarray, ...]:
    """The example in a golden vector that `ImageExport.save` wrote."""
    with Image.open(path) as image:
        return (np.asarray(image),)
