"""`python -m bottega`: the command line."""

from bottega.cli import main

main()
