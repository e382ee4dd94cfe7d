"""Full fine-tuning of EfficientNet-Lite0 in PyTorch: training steps alone, on pictures in memory, for comparison.

    python benchmarks/pytorch_full.py [STEPS] [--quick]        # needs torch, in an environment of its own

The architecture: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite; random weights, which cost what
trained ones do. Prints pictures a second with frozen and with updating batch norm, pictures' channels last or first in memory,
in float32 and bfloat16 (autocast); --quick: only frozen, which is what tlapp trains, and channels last, the better of the two.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import nn

# expansion, channels, repeats, stride, kernel
BLOCKS = [
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
]  # fmt: skip


def unit(inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1, active: bool = True) -> nn.Sequential:
    """Convolution, batch norm and, if active, ReLU6."""
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), *([nn.ReLU6()] if active else []))


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, inside: int, outside: int, expansion: int, stride: int, kernel: int):
        super().__init__()
        wide = inside * expansion
        self.adds = stride == 1 and inside == outside
        self.body = nn.Sequential(
            *([unit(inside, wide)] if expansion > 1 else []),
            unit(wide, wide, kernel, stride, groups=wide),
            unit(wide, outside, active=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def network(classes: int) -> nn.Sequential:
    layers, inside = [unit(3, 32, 3, 2)], 32
    for expansion, outside, repeats, stride, kernel in BLOCKS:
        for number in range(repeats):
            layers.append(Block(inside, outside, expansion, stride if number == 0 else 1, kernel))
            inside = outside
    return nn.Sequential(*layers, unit(inside, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes))


def speed(frozen_norm: bool, steps: int, last: bool = True, precision: torch.dtype = torch.float32) -> float:
    """Pictures a second of a training step of 32 pictures at 224, median."""
    order = torch.channels_last if last else torch.contiguous_format
    net = network(10).train().to(memory_format=order)
    for module in net.modules():
        if frozen_norm and isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(p for p in net.parameters() if p.requires_grad)
    x = torch.randn(32, 3, 224, 224).to(memory_format=order)
    y, seconds = torch.randint(0, 10, (32,)), []
    for _ in range(steps + 1):
        began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return 32 / statistics.median(seconds[1:])


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    steps = numbers[0] if numbers else 8
    for frozen in (True,) if quick else (True, False):
        for last in (True,) if quick else (True, False):
            for precision in (torch.float32, torch.bfloat16):
                rate = speed(frozen, steps, last, precision)
                norm, order = "frozen" if frozen else "updating", "last" if last else "first"
                print(f"batch norm {norm}, channels {order}, {str(precision)[6:]}: {rate:.1f} pictures a second", flush=True)
