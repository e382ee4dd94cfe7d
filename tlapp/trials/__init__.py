"""Trials: runs on the same data, each in a process of its own; compared, or steered by what the earlier ones gave."""
