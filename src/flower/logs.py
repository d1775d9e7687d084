"""Where our log lines go."""

import logging
import sys


def configure_logging(level: str) -> None:
    """Everything of ours to standard error; nothing of the libraries below a warning."""
    quiet = level.upper() == "NONE"
    logging.basicConfig(
        level=logging.CRITICAL + 1 if quiet else logging.WARNING,
        format="[%(levelname).1s %(asctime)s %(name)s] %(message)s",
        datefmt="%y%m%d %H:%M:%S",
        stream=sys.stderr,
    )
    if not quiet:
        logging.getLogger("flower").setLevel(level.upper())
