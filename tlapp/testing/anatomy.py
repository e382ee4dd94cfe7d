"""Made-up backbones and a task, for plans that need no network."""

from __future__ import annotations

from tlapp.contracts import Backbone, ImageInput, Stage, Task

STAGES = (1, 3, 18)
COUNTS = {"train": 24, "val": 6, "test": 12, "target": 24, "aux": 24, "support": 24, "query": 24}
TASK = Task(("circle", "square", "stripe"), COUNTS, ("dot", "line"), support_classes=("cross", "ring"))


def backbone(stages: int) -> Backbone:
    """The facts of a backbone with so many stages."""
    made = tuple(Stage(f"stage{i + 1}", 1000 * (i + 1), (8, 8, 16), (f"layer{i + 1}",)) for i in range(stages))
    return Backbone(f"made-up:{stages}-stages", ImageInput(64), made)
