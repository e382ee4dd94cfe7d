"""The run folder and what lies in it."""
