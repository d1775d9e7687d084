"""Samples of queues: exact ones, and coarse ones that those become when they are old."""

import math
from collections.abc import Sequence
from typing import Any, Final

import apsw

from flower.errors import Invalid
from flower.store.ledger.samples import (
    COARSE,
    KEPT,
    KEPT_EXACT,
    MAX_STRETCHES,
    SAMPLE_EVERY,
    QueueSample,
    QueueStretch,
)
from flower.store.sqlite.connection import rows
from flower.store.sqlite.ledger.file import LedgerFile

_FIGURES: Final = "count, ready, ready_most, unacknowledged, consumers, oldest"

TABLES: Final = tuple(
    statement
    for kind in ("sample", "coarse")
    for statement in (
        f"CREATE TABLE IF NOT EXISTS queue_{kind}(queue TEXT, at INTEGER, count INTEGER, ready REAL, "
        "ready_most INTEGER, unacknowledged INTEGER, consumers INTEGER, oldest REAL, PRIMARY KEY(queue, at)) "
        "WITHOUT ROWID",
        f"CREATE INDEX IF NOT EXISTS queue_{kind}_at ON queue_{kind}(at)",
    )
)

#: Several samples as one. The mean is of those that know `ready`.
_TOGETHER: Final = (
    "sum(count), sum(ready * count) / sum(CASE WHEN ready IS NOT NULL THEN count END), max(ready_most), "
    "max(unacknowledged), min(consumers), max(oldest)"
)

#: Seconds of samples that one step puts together: after a long absence there may be much to do.
_STEP: Final = 6 * 3600


class SqliteSamples:
    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def note(self, samples: Sequence[QueueSample]) -> None:
        if not samples:
            return
        values = [_row(sample) for sample in samples]
        newest = max(sample.at for sample in samples)

        def change(db: apsw.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO queue_sample VALUES (?,?,1,?,?,?,?,?)", values)
            _age(db, newest)

        self._file.write(change)

    def newest(self, after: float = 0.0) -> Sequence[QueueSample]:
        # a bare column beside max() is that of the row with the maximum
        sql = (
            "SELECT queue, max(at), ready_most, unacknowledged, consumers, oldest FROM queue_sample WHERE at > ? "
            "GROUP BY queue ORDER BY queue"
        )
        return [QueueSample(*row) for row in self._file.rows(sql, (max(after, 0.0),))]

    def since(self, after: float) -> Sequence[QueueSample]:
        sql = (
            "SELECT queue, at, ready_most, unacknowledged, consumers, oldest FROM queue_sample WHERE at > ? "
            "ORDER BY queue, at"
        )
        return [QueueSample(*row) for row in self._file.rows(sql, (after,))]

    def history(self, queue: str, start: float, end: float, width: float) -> Sequence[QueueStretch]:
        if not (math.isfinite(start) and math.isfinite(end) and width > 0):
            raise Invalid("a stretch of time needs a width above 0")
        if (end - start) / width > MAX_STRETCHES:
            raise Invalid(f"more than {MAX_STRETCHES} stretches of time", hint="ask for wider ones")
        sql = " UNION ALL ".join(
            f"SELECT at, {_FIGURES} FROM queue_{kind} WHERE queue = ?1 AND at >= ?2 AND at < ?3"
            for kind in ("coarse", "sample")
        )
        found = self._file.rows(
            f"SELECT ?2 + cast((at - ?2) / ?4 AS INTEGER) * ?4 AS stretch, {_TOGETHER} FROM ({sql}) "
            "GROUP BY stretch ORDER BY stretch",
            (queue, start, end, width),
        )
        return [QueueStretch(*row) for row in found]


def _row(sample: QueueSample) -> tuple[Any, ...]:
    at = int(sample.at // SAMPLE_EVERY) * SAMPLE_EVERY
    return (
        sample.queue, at, sample.ready, sample.ready, sample.unacknowledged, sample.consumers, sample.oldest
    )  # fmt: skip


def _age(db: apsw.Connection, now: float) -> None:
    """Whole coarse stretches only, so that none is put together twice."""
    oldest = rows(db, "SELECT min(at) FROM queue_sample")[0][0]
    until = int(now - KEPT_EXACT) // COARSE * COARSE
    if oldest is not None and oldest < until:
        until = min(until, (oldest + _STEP) // COARSE * COARSE)
        db.execute(
            f"INSERT OR REPLACE INTO queue_coarse SELECT queue, at / {COARSE} * {COARSE} AS stretch, {_TOGETHER} "
            "FROM queue_sample WHERE at < ? GROUP BY queue, stretch",
            (until,),
        )
        db.execute("DELETE FROM queue_sample WHERE at < ?", (until,))
    db.execute("DELETE FROM queue_coarse WHERE at < ?", (now - KEPT,))
