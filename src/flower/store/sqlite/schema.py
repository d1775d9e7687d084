"""Schema of the files, in the present format (`store_format`). Every segment is self-contained: rows, their dictionary
and metadata.

Files from before the format was frozen lack the columns `source` to `event_times` of a task and `id`, `cause` and
`worker` of a gap: `migration` adds them."""

from typing import Final

from flower.records import END_TIME_FIELDS, FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS, Task

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
    "source": "source",
}
TASK_ID_COLUMNS: Final = ("uuid", "root_id", "parent_id")
TASK_TEXT_COLUMNS: Final = ("eta", "expires", "args", "kwargs", "result", "exception", "traceback")
TASK_JSON_COLUMNS: Final = ("earlier", "data", "lost", "event_times")
TASK_REAL_COLUMNS: Final = frozenset(
    {
        "received", "started", "timestamp", "runtime", "sent", "succeeded", "failed", "retried", "revoked", "rejected",
        "clock_offset", "client_offset", "queue_wait",
    }
)  # fmt: skip

TASK_FIELDS: Final[tuple[str, ...]] = Task.__struct_fields__
#: Columns of a row: the key, whether all texts are ASCII without NUL, then the fields of the record.
TASK_COLUMNS: Final = ("id", "plain", *TASK_FIELDS)


#: Time of a task within a window (`Task.time`), as SQL.
TIME_EXPRESSION: Final = (
    "coalesce(received - ifnull(clock_offset, 0), sent - ifnull(client_offset, 0), started - ifnull(clock_offset, 0),"
    " timestamp)"
)
#: End of the last attempt (`Task.ended`), as SQL.
ENDED_EXPRESSION: Final = (
    f"CASE state {' '.join(f'WHEN {STATE_IDS[state]} THEN {field}' for state, field in END_TIME_FIELDS.items())} END"
)


def column_definition(name: str) -> str:
    if name == "id":
        return "id INTEGER PRIMARY KEY"
    if name in TASK_ID_COLUMNS:
        # no affinity: 16 bytes for a canonical UUID, else the text itself
        return f"{name} BLOB" + (" NOT NULL" if name == "uuid" else "")
    if name in TASK_TEXT_COLUMNS or name in TASK_JSON_COLUMNS:
        return f"{name} TEXT"
    return f"{name} {'REAL' if name in TASK_REAL_COLUMNS else 'INTEGER'}"


SEGMENT_SCHEMA: Final = (
    f"CREATE TABLE task({', '.join(map(column_definition, TASK_COLUMNS))})",
    # the only index: other searches and sort orders use the columns, at a tenth of the cost
    "CREATE UNIQUE INDEX task_uuid ON task(uuid)",
    "CREATE TABLE word(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(kind, value))",
    *(f"INSERT INTO word VALUES ({number}, 'state', '{state}')" for state, number in STATE_IDS.items()),
    # 'segment': SegmentInfo as JSON; 'bloom': the filter of a sealed segment
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)

GAP_SCHEMA: Final = (
    "CREATE TABLE gap(id TEXT PRIMARY KEY, start REAL, end REAL, reason TEXT, cause TEXT, worker TEXT) WITHOUT ROWID"
)

META_SCHEMA: Final = (
    # tasks changed by each write: canonical ids concatenated, others as JSON
    "CREATE TABLE batch("
    "sequence INTEGER PRIMARY KEY, time REAL, touched INTEGER, ids BLOB, odd TEXT, complete INTEGER)",
    "CREATE TABLE worker(hostname TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
    GAP_SCHEMA,
    # a copy of the metadata of each segment, so that a reader need not open it
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, data TEXT NOT NULL)",
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)

INSERT_TASK: Final = f"INSERT INTO task({', '.join(TASK_COLUMNS)}) VALUES ({', '.join('?' * len(TASK_COLUMNS))})"
#: of tables whose columns have the order of TASK_COLUMNS
INSERT_ROW: Final = f"INSERT INTO task VALUES ({','.join('?' * len(TASK_COLUMNS))})"
INSERT_GAP: Final = "INSERT OR REPLACE INTO gap(id, start, end, reason, cause, worker) VALUES (?,?,?,?,?,?)"
SELECT_TASKS: Final = f"SELECT {', '.join(TASK_COLUMNS)} FROM task"
