"""The phases of a plan, carried out."""
