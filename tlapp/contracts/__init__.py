"""All that a plugin may import. Nothing here imports TensorFlow."""

from __future__ import annotations

from tlapp.contracts.backbone import Backbone, BackboneProvider, Card, LoadedBackbone, Rates, Stage
from tlapp.contracts.input import BadExample, ImageInput, Input, Tensor
from tlapp.contracts.input_export import Endpoint, Feature, InputExport, Snippet
from tlapp.contracts.losses import (
    Batch,
    Episodes,
    FeatureScore,
    FewShot,
    Labeller,
    Loss,
    Net,
    OnDevice,
    PartFactory,
    Sampler,
    Select,
    Solver,
    Teachable,
    TeachableOnDevice,
    Weight,
    Weighted,
)
from tlapp.contracts.options import Condition, Field, Options, Values, above, other_than, when
from tlapp.contracts.plan import Augment, Blend, Finish, Fit, Graft, Guide, OneOf, Phase, Plan, Solve, Statistics
from tlapp.contracts.strategy import Head, Rung, Strategy, Task
from tlapp.contracts.version import VERSION
from tlapp.errors import PluginError, UserError

__all__ = [
    "VERSION",
    "Augment",
    "Backbone",
    "BackboneProvider",
    "BadExample",
    "Batch",
    "Blend",
    "Card",
    "Condition",
    "Endpoint",
    "Episodes",
    "Feature",
    "FeatureScore",
    "FewShot",
    "Field",
    "Finish",
    "Fit",
    "Graft",
    "Guide",
    "Head",
    "ImageInput",
    "Input",
    "InputExport",
    "Labeller",
    "LoadedBackbone",
    "Loss",
    "Net",
    "OnDevice",
    "OneOf",
    "Options",
    "PartFactory",
    "Phase",
    "Plan",
    "PluginError",
    "Rates",
    "Rung",
    "Sampler",
    "Select",
    "Snippet",
    "Solve",
    "Solver",
    "Stage",
    "Statistics",
    "Strategy",
    "Task",
    "Teachable",
    "TeachableOnDevice",
    "Tensor",
    "UserError",
    "Values",
    "Weight",
    "Weighted",
    "above",
    "other_than",
    "when",
]  # fmt: skip
