"""The user's home folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def home() -> Path:
    """The home folder; where the user has none, as in some containers, one of their own among the temporary files."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"tlapp-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def expanded(path: str) -> Path:
    """A path whose ~ is the home folder."""
    return home() / path[2:] if path.startswith("~/") else Path(path)
