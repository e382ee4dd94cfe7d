"""For those who write plugins: the rules of the contract as a check, and a tiny backbone and pictures to try things on."""

from tlapp.testing.check import ContractError, Verdict, check_backbones, check_head, check_reporter, check_strategy, examine
from tlapp.testing.tiny import CLASSES, SIZE, Dense, TinyBackbones, pictures, tiny_run

__all__ = [
    "CLASSES", "SIZE", "ContractError", "Dense", "TinyBackbones", "Verdict", "check_backbones", "check_head", "check_reporter",
    "check_strategy", "examine", "pictures", "tiny_run",
]  # fmt: skip
