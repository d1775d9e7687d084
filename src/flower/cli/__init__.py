"""`flower` and `celery flower`."""

from flower.cli.entry import flower, main

__all__ = ["flower", "main"]
