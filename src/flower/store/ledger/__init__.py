"""The port of the ledger: what people do, and what the web servers note. Beside the recorder's store and written by any
number of web servers at the same time; one file of this folder for each kind of thing."""

from typing import Protocol

from flower.store.ledger.samples import Samples


class Ledger(Protocol):
    """Every method of every part may be called from any thread, and may take as long as a write to disk. They raise
    StoreError, StoreFull among them."""

    @property
    def samples(self) -> Samples: ...

    def close(self) -> None: ...
