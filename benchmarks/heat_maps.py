"""Does a heat map say where a class is? Test pictures of four classes in the quadrants of a canvas; is the heat in the right one?

    tlapp train --plugin partial --data data/stamps/photo --epochs 5 --run runs/photo
    python benchmarks/heat_maps.py runs/photo

Prints, for each method: its maps, the share of peaks in the right quadrant, and of the heat (a quarter where there is none).
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import tlapp
from tlapp.engine.visuals import heat_map as module
from tlapp.engine.visuals.heat_map import Place, explained, heat_map, place_of

CANVASES = 200


def main() -> None:
    run = tlapp.load(sys.argv[1])
    rows = [row for row in run.files.splits() if row["split"] == "test"]
    paths = {label: [row["path"] for row in rows if row["label"] == label] for label in run.labels}
    rng, size = np.random.default_rng(0), run.image_size
    canvases, classes, quadrants = np.zeros((CANVASES, size, size, 3), np.uint8), [], []
    for canvas in canvases:
        chosen = rng.permutation(len(run.labels))[:4]
        for quadrant, number in enumerate(chosen):
            picture = Image.fromarray(run.input.read(rng.choice(paths[run.labels[number]]))[0])
            part(canvas, quadrant)[:] = np.asarray(picture.resize((size // 2, size // 2)))
        quadrants.append(int(rng.integers(4)))
        classes.append(int(chosen[quadrants[-1]]))
    for method in ("grad-cam", "layer-cam"):
        print(method, place_of(run.model, method).sizes, *judged(heat_map(run, canvases, classes, method), quadrants))
    module.FINE = 1
    print("last map", place_of(run.model).sizes, *judged(heat_map(run, canvases, classes), quadrants))
    place = place_of(run.model, "layer-cam")
    finer = Place(place.maps, place.score, by_place=False)
    print("grad-cam", finer.sizes, *judged(explained(run.model, finer, canvases, classes)[0], quadrants))


def part(canvas: np.ndarray, quadrant: int) -> np.ndarray:
    """A quadrant of a canvas."""
    half = len(canvas) // 2
    top, left = half * (quadrant // 2), half * (quadrant % 2)
    return canvas[top : top + half, left : left + half]


def judged(heat: np.ndarray, quadrants: list[int]) -> list[str]:
    """The share of peaks, and of heat, in the right quadrants."""
    peaks = [part(each, number).max() == each.max() > 0 for each, number in zip(heat, quadrants, strict=True)]
    shares = [
        part(each, number).sum() / each.sum() if each.max() > 0 else 0.25 for each, number in zip(heat, quadrants, strict=True)
    ]
    return [f"peaks {np.mean(peaks):.3f}", f"heat {np.mean(shares):.3f}"]


if __name__ == "__main__":
    main()
