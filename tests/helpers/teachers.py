"""A finished run that can teach: its model answers by the mean colour of a picture."""

from __future__ import annotations

import json
from pathlib import Path

import yaml


def untrained(folder: Path, classes) -> Path:
    """What `tlapp.load` reads of a finished run before it opens the model."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"plugin": "freeze", "backbone": "keras-cv:efficientnet-lite0"}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    (folder / "metrics.json").write_text(json.dumps({}))
    (folder / "plan.json").write_text(json.dumps({}))
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes))
    (folder / "model.keras").write_bytes(b"to be digested")
    return folder


def teacher(folder: Path, classes, size: int = 16) -> Path:
    """A run whose model takes pictures of `size` pixels a side."""
    import keras

    untrained(folder, classes)
    image = keras.Input((size, size, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    keras.utils.set_random_seed(3)
    model = keras.Model(image, keras.layers.Dense(len(classes), activation="softmax")(x))
    model.save(folder / "model.keras")
    return folder
