"""Likely copies are found in little memory."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tlapp.engine.advice import copies
from tlapp.engine.data.streams import Stream


def test_pictures_that_are_not_kept_are_decoded_when_their_windows_are_asked_for():
    rng = np.random.default_rng(0)
    smooth = [Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).resize((96, 96)) for _ in range(3)]
    grey = np.stack([np.asarray(each) for each in [*smooth, smooth[1].resize((96, 96), box=(0, 0, 91, 91))]])
    taken = []

    class Examples:
        def take(self, rows):
            taken.append(len(rows))
            return (np.repeat(grey[rows][..., None], 3, -1),)

    stream = Stream("train", tuple("abcd"), None, tuple("abcd"), tuple("abcd"), Examples(), ("",) * 4)
    sample = copies.Sample(stream, np.arange(4), grey.reshape(4, -1), dict.fromkeys("abcd", (96, 96)))
    pairs = [(0, 2), (3, 1), (2, 3)]
    kept = sample.grey(range(4))
    assert isinstance(kept.pictures, np.ndarray) and [pair for *pair, _ in copies.copies(pairs, kept, kept)] == [[3, 1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "KEPT_BYTES", 3 * 96**2)
        patch.setattr(copies, "AT_ONCE", 2)
        apart = sample.grey(range(4))
        assert not isinstance(apart.pictures, np.ndarray)
        taken.clear()
        assert list(copies.copies(pairs, apart, apart)) == list(copies.copies(pairs, kept, kept))
        assert taken == [2, 2, 1, 1]  # each once, and again the two that resemble each other
