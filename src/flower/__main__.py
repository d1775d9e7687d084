"""`python -m flower`: the `flower` command; with the word `flower` among the arguments the `celery`
program with this sub-command, as Flower has it."""

import sys

if "flower" in sys.argv[1:]:
    from celery.__main__ import main
else:
    from flower.cli import main

main()
