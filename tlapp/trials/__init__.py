"""Trials: runs on the same data, each in a process of its own; compared, or steered by what the earlier ones gave."""

OWNED = "TLAPP_OWNED"
"""The environment variable that is set in a trial's process: it stops where its standard input ends, as its parent has gone."""
