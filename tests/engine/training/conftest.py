"""Two small domains: a source with labels and a shifted target."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.testing import pictures


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    """Pictures, and darkened ones of the same classes."""
    folder = tmp_path_factory.mktemp("domains")
    source = pictures(folder / "source", each=16)
    target = pictures(folder / "target", each=12, seed=9)
    for path in target.rglob("*.png"):
        Image.fromarray((np.asarray(Image.open(path)) * 0.5 + 90).astype(np.uint8)).save(path)
    return source, target
