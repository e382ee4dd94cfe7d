"""tlapp: transfer learning made practical."""

from tlapp.api import load, train

__all__ = ["load", "train"]
