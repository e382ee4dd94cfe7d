"""The graph: cut, folded, run, deployed."""
