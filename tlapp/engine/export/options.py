"""What can be asked of an export."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from tlapp.contracts.options import Options
from tlapp.errors import UserError

Format = Literal["savedmodel", "tflite", "keras", "onnx"]
Quantize = Literal["none", "float16", "dynamic", "int8", "auto"]


class Way(NamedTuple):
    """A way of quantising. `keep`: how many layers stay in float, those that rounding harms most."""

    quantize: str
    keep: int = 0

    def __str__(self) -> str:
        return f"{self.quantize} with its {self.keep} worst layers in float" if self.keep else self.quantize


INT8, DYNAMIC = (tuple(Way(quantize, keep) for keep in (0, 2, 4, 8, 16)) for quantize in ("int8", "dynamic"))
LADDERS = {"int8": INT8, "dynamic": DYNAMIC, "auto": (*INT8, *DYNAMIC, Way("float16"), Way("none"))}
# Activations stay float in a dynamic file, so that it is to be nearer to the original than int8's point of accuracy.
AGREEMENT = {"dynamic": 0.99}
"""What share of top labels is to stay the same on the validation pictures for a way to be chosen, besides max_drop."""


class ExportOptions(Options):
    """The settings of one export."""

    format: Format = Field(description="what to write")
    quantize: Quantize = Field("none", description="TFLite only; auto: the smallest that keeps the accuracy")
    # A point of accuracy: what int8 is commonly allowed to cost, and more than noise on 500 test pictures.
    max_drop: float = Field(0.01, ge=0, le=1, description="accuracy on the test pictures that quantising may cost")
    allow_drop: bool = Field(False, description="keep an artifact that fails its check")
    output: str | None = Field(None, description="folder to write; RUN/export/FORMAT[-QUANTIZE] by default")
    data: str | None = Field(None, description="where the run's pictures are now, as option data of train, if they have moved")
    name: str | None = Field(None, description="the model's name in its metadata and card; the run's by default")
    author: str = Field("", description="the author's name in its metadata and card")
    licence: str = Field("", description="the model's licence in its metadata and card, such as apache-2.0")

    def ways(self) -> tuple[Way, ...]:
        """The ways of quantising to try, smallest file first; the first that passes its check is taken."""
        if self.quantize in LADDERS and not (self.allow_drop and self.quantize != "auto"):
            return LADDERS[self.quantize]
        return (Way(self.quantize),)

    def agreement(self) -> float:
        """The share of top labels that is to stay the same for a way to be chosen."""
        return AGREEMENT.get(self.quantize, 0.0)

    def folder_name(self) -> str:
        """The folder under RUN/export/."""
        return self.format if self.quantize == "none" else f"{self.format}-{self.quantize}"

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            UserError: quantize with a format that has none.
        """
        if self.quantize != "none" and self.format != "tflite":
            raise UserError(
                f"only tflite can be quantised. Received: option format={self.format}", self.quantize, option="quantize"
            )
