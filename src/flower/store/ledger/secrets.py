"""What the web servers of one store must all know and nobody else may."""

from typing import Protocol


class Secrets(Protocol):
    def get_or_create(self, name: str) -> bytes:
        """32 random bytes, made when they are first asked for; the same for everybody. Raises StoreError."""
