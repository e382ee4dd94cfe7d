"""Smaller numbers in TFLite files."""
