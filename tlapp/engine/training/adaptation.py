"""What adapting did to the target, for metrics.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlapp.engine.data.streams import Stream
from tlapp.engine.runs.history import Epoch


def adaptation(history: Sequence[Epoch], stream: Stream | None) -> dict[str, Any] | None:
    """What adapting did to the target, for metrics.json; None where no phase looked at it.

    `source_only` and `adapted` are the scores before the first such phase and of the weights that were kept; accuracies come in
    where the target's labels are known, and `oracle` is the best epoch that they would have chosen: nothing chose by them.
    """
    looked = [epoch for epoch in history if epoch.answers is not None]
    if not looked or stream is None:
        return None

    def told(epoch: Epoch) -> dict[str, Any]:
        known = {} if stream.labels is None else {"accuracy": float(np.mean(epoch.answers == stream.labels))}
        return {"phase": epoch.phase, "epoch": epoch.epoch, "score": epoch.target["score"], **known}

    lines = [told(epoch) for epoch in looked]
    best = max(lines, key=lambda line: line["score"])
    result = {"helped": best["score"] > lines[0]["score"], "source_only": lines[0], "adapted": best}
    return result if stream.labels is None else {**result, "oracle": max(lines, key=lambda line: line["accuracy"])}
