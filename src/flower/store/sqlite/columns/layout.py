"""Columns of a segment, the meaning of their values, and their place in the file.

Row `id` of a segment is slot `id - first` of each column.
"""

from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

#: word ids of the segment's dictionary; 0: no word
WORD_COLUMNS: Final = ("state", "name", "hostname", "queue", "exchange", "routing_key", "client", "source")
#: Seconds; NaN: no value. `ended`, `wait` and `time` are those of `Task`.
REAL_COLUMNS: Final = ("received", "started", "timestamp", "sent", "ended", "runtime", "wait", "time")
#: Integers of 16 or 32 bits. The minimum of the type means no value. The maximum and the minimum + 1 mean a value that
#: does not fit, which only the row has.
INTEGER_COLUMNS: Final[dict[str, Any]] = {
    "retries": np.int16,
    "priority": np.int16,
    "pid": np.int32,
    "attempts": np.int16,
    # `Task.retry_count`; 0 without retries
    "retry_count": np.int16,
}

COLUMN_TYPES: Final[dict[str, Any]] = {
    # 1: the slot has a row
    "live": np.uint8,
    **dict.fromkeys(WORD_COLUMNS, np.uint32),
    **dict.fromkeys(REAL_COLUMNS, np.float64),
    **INTEGER_COLUMNS,
    # `exception_class_id` and `fingerprint_to_int`; 0: none
    "exception": np.uint64,
    "failure": np.uint64,
    # buckets of `quantile_sketch`; NO_BUCKET: no value
    "runtime_bucket": np.uint16,
    "wait_bucket": np.uint16,
    # a canonical UUID as two numbers that sort like its text; 0: not a canonical UUID
    "uuid_high": np.uint64,
    "uuid_low": np.uint64,
    # `hash_id` of root_id, unless that is the task's own id, and of parent_id; 0: none
    "root": np.uint32,
    "parent": np.uint32,
    # bits of HAS_BITS
    "has": np.uint32,
    # incremented by every change of the row; block `text_block` of the text index has the row as of `text_version`
    "version": np.uint16,
    "text_block": np.uint16,
    "text_version": np.uint16,
}
NO_BUCKET: Final = 65_535

#: Values that are present, for fields without a column of their own, and a property of the texts.
_HAS_NAMES: Final = (
    "args", "kwargs", "result", "exception", "traceback", "eta", "expires", "data", "earlier", "clock",
    "succeeded", "failed", "retried", "revoked", "rejected", "root_id", "parent_id",
    # args, kwargs or result contains a backslash: an escape may spell the text differently
    "escaped",
    "lost", "run",
)  # fmt: skip
HAS_BITS: Final = {name: 1 << bit for bit, name in enumerate(_HAS_NAMES)}

#: Keys of which a full segment stores its slots in ascending order: missing values last, equal values by slot.
SORTED_KEYS: Final = ("received", "started", "timestamp", "sent", "runtime", "wait", "time", "uuid", "root", "parent")


def hash_id(packed: bytes | str) -> int:
    """Return a 32-bit hash of an id, never 0. It is the last 4 bytes of a canonical UUID, which are random."""
    return (int.from_bytes(packed[-4:], "big") if isinstance(packed, bytes) else crc32(packed.encode())) or 1


HEADER_BYTES: Final = 4096
MAGIC: Final = b"BELLCOLS"
HEADER_DTYPE: Final = np.dtype(
    [
        ("magic", "S8"),
        ("format", np.uint32),
        ("capacity", np.uint32),
        ("first", np.int64),
        # change sequence that the columns are as of
        ("sequence", np.int64),
        # odd while a change is in progress
        ("writing", np.int64),
        # generation of the text index whose block numbers the rows have
        ("generation", "S40"),
        # when rows were last marked as indexed: system-wide monotonic clock, nanoseconds
        ("indexed_at", np.int64),
        # change sequence as of which the orders are valid; -1: no orders
        ("ordered", np.int64),
        # 1: the file is completely on disk; 0: valid until the machine is rebooted
        ("synced", np.int64),
        ("boot", "S36"),
        # random number: versions of rows are comparable only while it is the same
        ("made", np.uint64),
    ]
)


def compute_offsets(capacity: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Return the offset of each column, the offset of each order, and the size of the file."""
    position = HEADER_BYTES
    columns: dict[str, int] = {}
    for name, kind in COLUMN_TYPES.items():
        columns[name] = position
        position += _align(capacity * np.dtype(kind).itemsize)
    orders: dict[str, int] = {}
    for name in SORTED_KEYS:
        orders[name] = position
        position += _align(capacity * 4)
    return columns, orders, position


def _align(size: int) -> int:
    return (size + 63) // 64 * 64
