"""Stands for a running `flower.events.Events` where only its store is read."""

from flower.store.protocols import Reader


class StoreEvents:
    def __init__(self, store: Reader) -> None:
        self.store = store
