"""The store's writer in this and in older commits of Bellflower, whose modules and methods had other names."""

from inspect import signature
from typing import Any

try:
    from flower.store.factory import open_writer as _open_writer
    from flower.store.protocols import Batch
except ImportError:  # before the modules were renamed
    from flower.store.opening import open_writer as _open_writer  # type: ignore[import-not-found, no-redef]
    from flower.store.port import Batch  # type: ignore[import-not-found, no-redef]

__all__ = ["Batch", "finish_maintenance", "open_writer"]


def open_writer(folder: str, *, index_process: bool = False) -> Any:
    """The writer of the store in `folder`. `index_process`: index texts in a process, as the recorder does, if this
    commit can."""
    supported = "index_process" in signature(_open_writer).parameters
    return _open_writer(folder, **({"index_process": True} if index_process and supported else {}))


def finish_maintenance(writer: Any) -> None:
    """Wait until column files and text index are complete. Commits without them have nothing to wait for."""
    for name in ("finish_maintenance", "settle"):
        if hasattr(writer, name):
            getattr(writer, name)()
            return
