"""Part of a write that belongs into meta.db. It is also stored with the rows, in the last segment that commits: if the
process is killed before meta.db commits, the write is completed when the store is opened again."""

import msgspec

from flower.counters import CounterKey, TaskCounters
from flower.records import Gap, Worker
from flower.store.protocols import Batch


class MetaUpdate(msgspec.Struct, frozen=True, array_like=True):
    """Content of the write with this number of the change sequence."""

    sequence: int
    workers: tuple[Worker, ...] = ()
    gaps: tuple[Gap, ...] = ()
    counters: tuple[TaskCounters, ...] = ()
    dropped_counters: tuple[CounterKey, ...] = ()
    capture_progress: bytes | None = None

    @property
    def batch(self) -> Batch:
        """The update without tasks."""
        return Batch(
            workers=self.workers,
            gaps=self.gaps,
            counters=self.counters,
            dropped_counters=self.dropped_counters,
            capture_progress=self.capture_progress,
        )


_to_bytes = msgspec.msgpack.Encoder().encode
_from_bytes = msgspec.msgpack.Decoder(MetaUpdate).decode


def encode_meta_update(sequence: int, batch: Batch) -> bytes | None:
    """None if the batch has parked tasks: they may be large, and without them their events must not be counted."""
    if batch.parked:
        return None
    return _to_bytes(
        MetaUpdate(
            sequence,
            tuple(batch.workers),
            tuple(batch.gaps),
            tuple(batch.counters),
            tuple(batch.dropped_counters),
            batch.capture_progress,
        )
    )


def decode_meta_update(content: bytes) -> MetaUpdate | None:
    """None if the content cannot be read, for example because another version wrote it."""
    try:
        return _from_bytes(content)
    except msgspec.MsgspecError:
        return None
