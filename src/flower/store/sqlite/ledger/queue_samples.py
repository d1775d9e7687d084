"""Queue samples in the ledger: exact samples, and coarse ones into which old samples are aggregated."""

import math
from collections.abc import Sequence
from typing import Any, Final

import apsw

from flower.errors import InvalidRequest
from flower.store.ledger.queue_samples import (
    COARSE_SAMPLE_INTERVAL,
    MAX_HISTORY_BUCKETS,
    RAW_SAMPLE_RETENTION,
    SAMPLE_INTERVAL,
    SAMPLE_RETENTION,
    QueueBucket,
    QueueSample,
)
from flower.store.sqlite.connection import fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase

_SAMPLE_COLUMNS: Final = "count, ready, ready_most, unacknowledged, consumers, oldest"

TABLES: Final = tuple(
    statement
    for kind in ("sample", "coarse")
    for statement in (
        (
            f"CREATE TABLE IF NOT EXISTS queue_{kind}(queue TEXT, at INTEGER, count INTEGER, ready REAL, "
            "ready_most INTEGER, unacknowledged INTEGER, consumers INTEGER, oldest REAL, PRIMARY KEY(queue, at)) "
            "WITHOUT ROWID"
        ),
        f"CREATE INDEX IF NOT EXISTS queue_{kind}_at ON queue_{kind}(at)",
    )
)

#: Aggregates of several samples. The average is over the samples with a known `ready`.
_AGGREGATES: Final = (
    "sum(count), sum(ready * count) / sum(CASE WHEN ready IS NOT NULL THEN count END), max(ready_most), "
    "max(unacknowledged), min(consumers), max(oldest)"
)

#: Seconds of samples that one call aggregates: after a long downtime there may be many.
_MAX_DOWNSAMPLE_SECONDS: Final = 6 * 3600


class SqliteQueueSamples:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(self, samples: Sequence[QueueSample]) -> None:
        if not samples:
            return
        values = [_row(sample) for sample in samples]
        newest = max(sample.at for sample in samples)

        def change(db: apsw.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO queue_sample VALUES (?,?,1,?,?,?,?,?)", values)
            _downsample(db, newest)

        self._database.write(change)

    def latest(self, after: float = 0.0) -> Sequence[QueueSample]:
        # with max(), SQLite takes bare columns from the row of the maximum
        sql = (
            "SELECT queue, max(at), ready_most, unacknowledged, consumers, oldest FROM queue_sample WHERE at > ? "
            "GROUP BY queue ORDER BY queue"
        )
        return [QueueSample(*row) for row in self._database.query(sql, (max(after, 0.0),))]

    def list_since(self, after: float) -> Sequence[QueueSample]:
        sql = (
            "SELECT queue, at, ready_most, unacknowledged, consumers, oldest FROM queue_sample WHERE at > ? "
            "ORDER BY queue, at"
        )
        return [QueueSample(*row) for row in self._database.query(sql, (after,))]

    def history(self, queue: str, start: float, end: float, width: float) -> Sequence[QueueBucket]:
        if not (math.isfinite(start) and math.isfinite(end) and width > 0):
            raise InvalidRequest("Invalid bucket width: must be greater than 0")
        if (end - start) / width > MAX_HISTORY_BUCKETS:
            raise InvalidRequest(f"Too many buckets (maximum {MAX_HISTORY_BUCKETS})", hint="increase the width")
        sql = " UNION ALL ".join(
            f"SELECT at, {_SAMPLE_COLUMNS} FROM queue_{kind} WHERE queue = ?1 AND at >= ?2 AND at < ?3"
            for kind in ("coarse", "sample")
        )
        rows = self._database.query(
            f"SELECT ?2 + cast((at - ?2) / ?4 AS INTEGER) * ?4 AS bucket, {_AGGREGATES} FROM ({sql}) "
            "GROUP BY bucket ORDER BY bucket",
            (queue, start, end, width),
        )
        return [QueueBucket(*row) for row in rows]


def _row(sample: QueueSample) -> tuple[Any, ...]:
    at = int(sample.at // SAMPLE_INTERVAL) * SAMPLE_INTERVAL
    return (
        sample.queue, at, sample.ready, sample.ready, sample.unacknowledged, sample.consumers, sample.oldest
    )  # fmt: skip


def _downsample(db: apsw.Connection, now: float) -> None:
    """Aggregates complete coarse intervals only, so that none is aggregated twice."""
    oldest = fetch_rows(db, "SELECT min(at) FROM queue_sample")[0][0]
    until = int(now - RAW_SAMPLE_RETENTION) // COARSE_SAMPLE_INTERVAL * COARSE_SAMPLE_INTERVAL
    if oldest is not None and oldest < until:
        until = min(until, (oldest + _MAX_DOWNSAMPLE_SECONDS) // COARSE_SAMPLE_INTERVAL * COARSE_SAMPLE_INTERVAL)
        db.execute(
            f"INSERT OR REPLACE INTO queue_coarse SELECT queue, at / {COARSE_SAMPLE_INTERVAL} *"
            f" {COARSE_SAMPLE_INTERVAL} AS bucket, {_AGGREGATES} FROM queue_sample WHERE at < ? GROUP BY queue,"
            " bucket",
            (until,),
        )
        db.execute("DELETE FROM queue_sample WHERE at < ?", (until,))
    db.execute("DELETE FROM queue_coarse WHERE at < ?", (now - SAMPLE_RETENTION,))
