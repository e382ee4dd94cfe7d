"""Shards: tar files in WebDataset's layout, and TFRecord files. Pictures are read at their places; nothing is unpacked."""
