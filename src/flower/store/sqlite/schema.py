"""Schema of the files. Every segment is self-contained: rows, their dictionary and metadata."""

from typing import Final

from flower.records import FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS, Task

#: "Bell" in the header of every file, and the format version.
APPLICATION_ID: Final = 0x42656C6C
FORMAT_VERSION: Final = 1

#: Tasks per segment file. Random-order indexes of this size fit into a small page cache, so the write speed does not
#: decrease as the store grows.
DEFAULT_SEGMENT_TASKS: Final = 100_000

#: States have the same number in every dictionary, so that partial indexes can refer to them.
FIXED_STATES: Final = (SUCCESS, FAILURE, REVOKED, REJECTED, RETRY, STARTED, RECEIVED, PENDING)
STATE_IDS: Final = {state: number for number, state in enumerate(FIXED_STATES, 1)}
SUCCESS_ID: Final = STATE_IDS[SUCCESS]
#: SQL condition for tasks in a final state.
FINISHED_CONDITION: Final = "state IN (1, 2, 3, 4)"
UNFINISHED_CONDITION: Final = f"state <> {SUCCESS_ID} AND state NOT IN (2, 3, 4)"
#: Numbers up to this one are reserved for future states.
LAST_STATE_ID: Final = 15

#: Columns that contain a number of the dictionary, and the kind under which the word is stored there.
WORD_KINDS: Final = {
    "state": "state",
    "name": "name",
    "hostname": "worker",
    "client": "client",
    "queue": "route",
    "exchange": "route",
    "routing_key": "route",
}
TASK_ID_COLUMNS: Final = ("uuid", "root_id", "parent_id")
TASK_TEXT_COLUMNS: Final = ("eta", "expires", "args", "kwargs", "result", "exception", "traceback")
TASK_JSON_COLUMNS: Final = ("earlier", "data")
TASK_REAL_COLUMNS: Final = frozenset(
    {
        "received", "started", "timestamp", "runtime", "sent", "succeeded", "failed", "retried", "revoked", "rejected",
    }
)  # fmt: skip

TASK_FIELDS: Final[tuple[str, ...]] = Task.__struct_fields__
#: Columns of a row: the key, whether all texts are ASCII without NUL, then the fields of the record.
TASK_COLUMNS: Final = ("id", "plain", *TASK_FIELDS)


def _column(name: str) -> str:
    if name == "id":
        return "id INTEGER PRIMARY KEY"
    if name in TASK_ID_COLUMNS:
        # no affinity: 16 bytes for a canonical UUID, else the text itself
        return f"{name} BLOB" + (" NOT NULL" if name == "uuid" else "")
    if name in TASK_TEXT_COLUMNS or name in TASK_JSON_COLUMNS:
        return f"{name} TEXT"
    return f"{name} {'REAL' if name in TASK_REAL_COLUMNS else 'INTEGER'}"


SEGMENT_SCHEMA: Final = (
    f"CREATE TABLE task({', '.join(map(_column, TASK_COLUMNS))})",
    # the only index: other searches and sort orders use the columns, at a tenth of the cost
    "CREATE UNIQUE INDEX task_uuid ON task(uuid)",
    "CREATE TABLE word(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(kind, value))",
    *(f"INSERT INTO word VALUES ({number}, 'state', '{state}')" for state, number in STATE_IDS.items()),
    # 'segment': SegmentInfo as JSON; 'bloom': the filter of a sealed segment
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)

META_SCHEMA: Final = (
    # tasks changed by each write: canonical ids concatenated, others as JSON
    "CREATE TABLE batch("
    "sequence INTEGER PRIMARY KEY, time REAL, touched INTEGER, ids BLOB, odd TEXT, complete INTEGER)",
    "CREATE TABLE worker(hostname TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE gap(start REAL, reason TEXT, end REAL, PRIMARY KEY(start, reason)) WITHOUT ROWID",
    # a copy of the metadata of each segment, so that a reader need not open it
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, data TEXT NOT NULL)",
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)

INSERT_TASK: Final = f"INSERT INTO task({', '.join(TASK_COLUMNS)}) VALUES ({', '.join('?' * len(TASK_COLUMNS))})"
SELECT_TASKS: Final = f"SELECT {', '.join(TASK_COLUMNS)} FROM task"
