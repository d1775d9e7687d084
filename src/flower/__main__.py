"""`python -m flower`: the `flower` command, or, with the word `flower` among the arguments, the `celery` program with
this subcommand, as in Flower."""

import sys

if "flower" in sys.argv[1:]:
    from celery.__main__ import main
else:
    from flower.cli import main

main()
