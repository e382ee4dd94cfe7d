"""What can be asked of an export."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tlapp.contracts.options import Options
from tlapp.engine.export.formats import named, table
from tlapp.engine.export.formats.format import Format, Way
from tlapp.errors import UserError

MODEL_FILES = (".tflite", ".keras", ".onnx", ".pb", ".h5", ".hdf5", ".lite", ".savedmodel")
"""Suffixes of files that hold a model; an export is a folder."""


class ExportOptions(Options):
    """The settings of one export."""

    format: str = Field(description="what to write")
    quantize: str = Field("none", description="smaller numbers, TFLite only; auto: the smallest file that keeps the accuracy")
    # A point of accuracy: what int8 is commonly allowed to cost, and more than noise on 500 test pictures.
    max_drop: float = Field(0.01, ge=0, le=1, description="accuracy on the test set that quantising may cost")
    on_device: int | None = Field(None, ge=1, le=1000, description="room for so many classes that a phone may add, TFLite only")
    allow_drop: bool = Field(False, description="keep an artifact that fails its check")
    output: str | None = Field(None, description="folder to write; RUN/export/FORMAT[-QUANTIZE] by default")
    data: str | None = Field(None, description="where the run's data are now, as the option data of train, if they have moved")
    name: str | None = Field(None, description="the model's name in its metadata and card; the run's by default")
    author: str = Field("", description="the author's name in its metadata and card")
    licence: str = Field("", description="the model's licence in its metadata and card, such as apache-2.0")

    def writer(self) -> Format:
        """The format.

        Raises:
            UserError: there is none of that name.
        """
        return named(self.format)

    def ways(self) -> tuple[Way, ...]:
        """The ways of quantising to try, smallest file first; the first that passes its check is taken."""
        if self.on_device:
            return (Way(self.quantize),)
        return self.writer().ways(self.quantize, self.allow_drop)

    def folder_name(self) -> str:
        """The folder in the run's folder of exports."""
        name = f"{self.format}-on-device" if self.on_device else self.format
        return name if self.quantize == "none" else f"{name}-{self.quantize}"

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            UserError: no such format, a way of quantising that the format does not have, or an output that is called like a file.
        """
        known = self.writer().quantizations
        if self.quantize not in known:
            able = " and ".join(each.name for each in table().values() if len(each.quantizations) > 1)
            what = f"only {able} can be quantised" if known == ("none",) else f"must be one of {', '.join(known)}"
            raise UserError(f"{what}. Received: option format={self.format}", self.quantize, option="quantize")
        if self.on_device and (self.format != "tflite" or self.quantize in ("int8", "auto")):
            raise UserError(
                "is for option format=tflite with option quantize=none, float16 or dynamic. "
                f"Received: option format={self.format} option quantize={self.quantize}", self.on_device, option="on_device",
            )  # fmt: skip
        if self.output and Path(self.output).suffix.lower() in MODEL_FILES:
            path = Path(self.output)
            raise UserError(
                f"an export is a folder, with the model's file, its labels, its card and its golden vectors; "
                f"name a folder, such as {path.with_suffix('')}: the model is then {path.with_suffix('') / self.writer().file}",
                self.output,
                option="output",
            )
