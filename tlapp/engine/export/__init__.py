"""Artifacts that provably do what the trained model does: written, measured, and kept only if they pass."""
