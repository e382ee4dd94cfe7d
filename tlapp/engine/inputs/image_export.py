"""How an exported model takes pictures: whole numbers, encoded files, PNG vectors, and programs that prepare a picture alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlapp.contracts.input_export import Arrays, Endpoint, Feature, InputExport, Snippet
from tlapp.engine.inputs.phone_programs import program

SQUARE = {
    "squash": "squashed to a square",
    "crop": "cut to its centre square",
    "pad": "fitted into a square with black bars",
}
"""How a picture that is not square becomes one, in words."""
_READ = 'picture = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")\n'
_SIZE = 'size = shapes["image"][1]\n'
_INPUTS = 'inputs = {"image": np.asarray(picture)[None]}  # the values stay 0 to 255: the model scales them itself'
_SMOOTH = "Image.Resampling.BILINEAR"
_PREPARE = {
    "squash": f"picture = picture.resize((size, size), {_SMOOTH}, reducing_gap=3.0)\n",
    "crop": f"""\
width, height = picture.size
left, top = max(0, width - height) / 2, max(0, height - width) / 2
centre = (left, top, width - left, height - top)
picture = picture.resize((size, size), {_SMOOTH}, centre, reducing_gap=3.0)
""",
    "pad": f"""\


def bar(long, short):  # pixels of each of the two black bars beside a side
    return min((size - 1) // 2, max(0, (size * (long - short) + long) // (2 * long)))


left, top = bar(picture.height, picture.width), bar(picture.width, picture.height)
content = picture.resize((size - 2 * left, size - 2 * top), {_SMOOTH}, reducing_gap=3.0)
picture = Image.new("RGB", (size, size))
picture.paste(content, (left, top))
""",
}


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
    file_suffixes = (".jpg", ".jpeg", ".png", ".webp", ".bmp")

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
        return Snippet("PICTURE", "from PIL import Image, ImageOps\n", _READ + _SIZE + _PREPARE[self.resize] + _INPUTS)

    def phone_program(self, language: str, labelling: str) -> str | None:
        return program(language, labelling, self.resize)

    def samples(self, examples: Arrays) -> Iterator[list[np.ndarray]]:
        for number, arrays in enumerate(super().samples(examples)):
            if number == 0:  # the whole range, so that a step of the input is one step of a pixel
                arrays[0][0, 0, 0], arrays[0][0, -1, -1] = 0, 255
            yield arrays

    def usage(self, shapes: Mapping[str, Sequence[Any]]) -> str:
        return (
            f"Give it RGB pictures of {self.size} x {self.size} of values 0 to 255, {SQUARE[self.resize]}: it scales them itself."
        )

    def _decoded(self, contents: Any) -> Sequence[Any]:
        from tlapp.engine.inputs import decode_in_graph

        return [decode_in_graph.squares(contents, self.size, self.resize)]


def read_vector(path: Path) -> tuple[np.ndarray, ...]:
    """The example in a golden vector that `ImageExport.save` wrote."""
    with Image.open(path) as image:
        return (np.asarray(image),)
