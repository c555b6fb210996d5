"""``python -m remainder``."""

from remainder.cli import main

main()
