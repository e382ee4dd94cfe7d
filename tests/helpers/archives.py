"""Keras files that were changed by hand."""

from __future__ import annotations

import json
import zipfile


def rewrite(path, change):
    """A .keras file whose config.json was changed by a function of its text."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def poisoned(path, **changes):
    """The first convolution of a .keras file becomes another object."""

    def change(text):
        config = json.loads(text)
        config["config"]["layers"][1].update(changes)
        return json.dumps(config)

    return rewrite(path, change)
