"""python -m tlapp."""

from tlapp.cli.main import main

main()
