"""From files and tables to labelled streams."""
