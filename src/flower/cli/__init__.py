"""`flower` and `celery flower`."""

from flower.cli.main import flower, main

__all__ = ["flower", "main"]
