"""Which columns there are, and what their values mean. Row `id` of a segment is slot `id - first` of each column."""

from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from flower.records import FAILURE, REJECTED, RETRY, REVOKED, SUCCESS

Array = npt.NDArray[np.generic]

#: Numbers of the segment's dictionary, 0 for no word.
WORD_COLUMNS: Final = ("state", "name", "hostname", "queue", "exchange", "routing_key", "client")
#: Seconds, NaN if missing. `ended` is the time of the state that the task ended in (or is retried in), `wait` is
#: `Task.wait`.
REAL_COLUMNS: Final = ("received", "started", "timestamp", "sent", "ended", "runtime", "wait")
#: Whole numbers in few bits: the least value stands for a missing one, the greatest and the second least for
#: those that do not fit, which only the row knows.
INTEGER_COLUMNS: Final[dict[str, Any]] = {
    "retries": np.int16,
    "priority": np.int16,
    "pid": np.int32,
    "attempts": np.int16,
}

COLUMN_TYPES: Final[dict[str, Any]] = {
    # 1 where there is a row
    "live": np.uint8,
    **dict.fromkeys(WORD_COLUMNS, np.uint32),
    **dict.fromkeys(REAL_COLUMNS, np.float64),
    **INTEGER_COLUMNS,
    # `fingerprint.class_number` and `fingerprint_number`, 0 for none
    "exception": np.uint64,
    "failure": np.uint64,
    # buckets of `sketch`, NO_BUCKET for no value
    "runtime_bucket": np.uint16,
    "wait_bucket": np.uint16,
    # a canonical uuid as two numbers that order as its text does; 0 where it is none
    "uuid_high": np.uint64,
    "uuid_low": np.uint64,
    # `hashed` of root_id, where it is not the task's own id, and of parent_id; 0 for none
    "root": np.uint32,
    "parent": np.uint32,
    # bits of HAS
    "has": np.uint32,
    # grows with every change of the row; the row is in block `text_block` of the text index as of `text_version`
    "version": np.uint16,
    "text_block": np.uint16,
    "text_version": np.uint16,
}
NO_BUCKET: Final = 65_535

#: What a row has, for fields without a column, and what is to be known of its texts.
_HAS_NAMES: Final = (
    "args", "kwargs", "result", "exception", "traceback", "eta", "expires", "data", "earlier", "clock",
    "succeeded", "failed", "retried", "revoked", "rejected", "root_id", "parent_id",
    # args, kwargs or result has a backslash in it: what it spells may not be what it says
    "escaped",
)  # fmt: skip
HAS_BITS: Final = {name: 1 << place for place, name in enumerate(_HAS_NAMES)}

#: Which time `ended` is, by state.
END_TIME_COLUMNS: Final = {
    SUCCESS: "succeeded",
    FAILURE: "failed",
    REVOKED: "revoked",
    REJECTED: "rejected",
    RETRY: "retried",
}

#: Keys of which a full segment keeps its slots in ascending order (missing values last, equal ones by slot).
SORTED_KEYS: Final = ("received", "started", "timestamp", "sent", "runtime", "wait", "uuid", "root", "parent")


def hash_id(packed: bytes | str) -> int:
    """An id in few bits, never 0: tells those that are not it. Canonical ids end in random digits."""
    return (int.from_bytes(packed[-4:], "big") if isinstance(packed, bytes) else crc32(packed.encode())) or 1


HEADER_BYTES: Final = 4096
MAGIC: Final = b"BELLCOLS"
COLUMN_FORMAT: Final = 2
HEADER_DTYPE: Final = np.dtype(
    [
        ("magic", "S8"),
        ("format", np.uint32),
        ("capacity", np.uint32),
        ("first", np.int64),
        # the number of the change sequence that the columns are as of
        ("sequence", np.int64),
        # odd while they are being changed
        ("writing", np.int64),
        # of the text index, whose blocks the rows name
        ("generation", "S40"),
        # when rows were last noted as indexed, by the system's monotonic clock in nanoseconds
        ("indexed_at", np.int64),
        # the sequence as of which the orders are right; -1 if there are none
        ("ordered", np.int64),
        # whether all of it is known to be on the disk; else it is good until the machine stops
        ("synced", np.int64),
        ("boot", "S36"),
        # a random number: versions of rows count from when these columns were made
        ("made", np.uint64),
    ]
)


def compute_offsets(capacity: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Where columns and orders begin in the file, and how long it is."""
    place = HEADER_BYTES
    columns: dict[str, int] = {}
    for name, kind in COLUMN_TYPES.items():
        columns[name] = place
        place += _align(capacity * np.dtype(kind).itemsize)
    orders: dict[str, int] = {}
    for name in SORTED_KEYS:
        orders[name] = place
        place += _align(capacity * 4)
    return columns, orders, place


def _align(size: int) -> int:
    return (size + 63) // 64 * 64
