"""Rows on disk by key, within a limit of space: what need not be computed twice."""
