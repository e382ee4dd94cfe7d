"""Linear."""

from __future__ import annotations

from typing import Any

from tlapp_plugins.shared.head_layers import dropout_layers, output_layer, sequential_head

from tlapp.contracts import Field, Head, Task


class Linear(Head):
    """One dense layer on the features."""

    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features dropped at random while training (dropout)")

    def build(self, features: Any, task: Task) -> Any:
        return sequential_head(features, [*dropout_layers(self.dropout), output_layer(task)])
