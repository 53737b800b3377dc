"""`python -m mirror`: the same as the command `mirror`."""

from mirror.cli import main

main()
