"""Artifacts that provably do what the trained model does: written, measured, and kept only if they pass."""

from tlapp.engine.export.export import export
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify

__all__ = ["ExportOptions", "export", "verify"]
