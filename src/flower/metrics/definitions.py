"""The table of metrics. What is printed, documented, and allowed in dashboards and alerts follows from it."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MetricType: TypeAlias = Literal["counter", "gauge", "histogram"]

#: By the kind, what stands behind the name of a family in the names of its samples.
SUFFIXES: Final[dict[MetricType, tuple[str, ...]]] = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
}


@dataclass(frozen=True, slots=True)
class MetricFamily:
    name: str
    kind: MetricType
    labels: tuple[str, ...]
    help: str
    #: where it stands in the documentation
    group: str

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names that a query can ask for."""
        return tuple(f"{self.name}{suffix}" for suffix in SUFFIXES[self.kind])


_FLOWER: Final = "As in Flower"
_TYPES: Final = "By type of task"
_QUEUES: Final = "Queues"
_RECORDER: Final = "Recorder"
_STORE: Final = "Store"

EVENTS: Final = MetricFamily(
    "flower_events",
    "counter",
    ("worker", "type", "task"),
    "Task events, custom ones included, by sender: of task-sent that is the producer.",
    _FLOWER,
)
RUNTIME: Final = MetricFamily(
    "flower_task_runtime_seconds", "histogram", ("worker", "task"), "Run times of tasks that succeeded.", _FLOWER
)
PREFETCH_TIME: Final = MetricFamily(
    "flower_task_prefetch_time_seconds",
    "gauge",
    ("worker", "task"),
    "How long the running task that was started last had waited at its worker; 0 if none is running.",
    _FLOWER,
)
PREFETCHED: Final = MetricFamily(
    "flower_worker_prefetched_tasks",
    "gauge",
    ("worker", "task"),
    "Tasks without an ETA that a living worker has received and not started.",
    _FLOWER,
)
ONLINE: Final = MetricFamily(
    "flower_worker_online",
    "gauge",
    ("worker",),
    "1 while the worker lives, 0 when it said goodbye or was not heard for twice the time between its heartbeats.",
    _FLOWER,
)
EXECUTING: Final = MetricFamily(
    "flower_worker_number_of_currently_executing_tasks",
    "gauge",
    ("worker",),
    "Tasks that the worker is running by its last heartbeat; 0 when it is offline.",
    _FLOWER,
)

WAIT: Final = MetricFamily(
    "flower_task_queue_wait_seconds",
    "histogram",
    ("task",),
    "From being sent (received, if nobody saw the sending) to being started, of tasks without an ETA.",
    _TYPES,
)
TYPE_RUNTIME: Final = MetricFamily(
    "flower_task_type_runtime_seconds",
    "histogram",
    ("task",),
    "Run times of tasks that succeeded, all workers together, those that went long ago too.",
    _TYPES,
)

READY: Final = MetricFamily(
    "flower_queue_messages", "gauge", ("queue",), "Messages that wait for a worker; absent if unknown.", _QUEUES
)
UNACKNOWLEDGED: Final = MetricFamily(
    "flower_queue_unacknowledged_messages",
    "gauge",
    ("queue",),
    "Messages that workers have and did not confirm; absent if unknown.",
    _QUEUES,
)
CONSUMERS: Final = MetricFamily(
    "flower_queue_consumers", "gauge", ("queue",), "Who consumes from the queue; absent if unknown.", _QUEUES
)
OLDEST: Final = MetricFamily(
    "flower_queue_oldest_message_seconds",
    "gauge",
    ("queue",),
    "How long the oldest message that waits has waited; absent if unknown or if none waits.",
    _QUEUES,
)
SAMPLED: Final = MetricFamily(
    "flower_queue_sampled_timestamp_seconds", "gauge", ("queue",), "When the broker was asked about it.", _QUEUES
)

RUNNING: Final = MetricFamily(
    "flower_recorder_running", "gauge", (), "1 while a recorder says that it works.", _RECORDER
)
CONNECTED: Final = MetricFamily(
    "flower_recorder_connected", "gauge", (), "1 while the recorder is connected to the broker.", _RECORDER
)
RATE: Final = MetricFamily(
    "flower_recorder_events_per_second", "gauge", (), "Events, also of workers, recorded in the last second.", _RECORDER
)
LAG: Final = MetricFamily(
    "flower_recorder_lag_seconds",
    "gauge",
    (),
    "How long the events of the last write had waited for it in the recorder.",
    _RECORDER,
)
BACKLOG: Final = MetricFamily(
    "flower_recorder_backlog_bytes",
    "gauge",
    (),
    "Received from the broker and not recorded yet; what was put aside on disk included.",
    _RECORDER,
)
BLOCKED: Final = MetricFamily(
    "flower_recorder_blocked", "gauge", (), "1 while the disk is full and the recorder waits for room.", _RECORDER
)
LAST_EVENT: Final = MetricFamily(
    "flower_recorder_last_event_timestamp_seconds", "gauge", (), "When the last event came in.", _RECORDER
)
GAPS: Final = MetricFamily(
    "flower_recorder_gaps", "gauge", (), "Stretches of time on record in which events may be missing.", _RECORDER
)
GAP_SECONDS: Final = MetricFamily(
    "flower_recorder_gap_seconds", "gauge", (), "How long these are together, the open one until now.", _RECORDER
)
GAP_OPEN: Final = MetricFamily(
    "flower_recorder_gap_open", "gauge", (), "1 while events may be missed now: the broker is away.", _RECORDER
)

BYTES: Final = MetricFamily("flower_store_bytes", "gauge", (), "What the store takes on disk.", _STORE)
TASKS: Final = MetricFamily("flower_store_tasks", "gauge", (), "Tasks on record.", _STORE)
BYTES_LIMIT: Final = MetricFamily(
    "flower_store_limit_bytes", "gauge", (), "The option max_size; absent if there is no limit.", _STORE
)
TASKS_LIMIT: Final = MetricFamily(
    "flower_store_limit_tasks", "gauge", (), "The option max_tasks; absent if there is no limit.", _STORE
)
DAMAGED: Final = MetricFamily(
    "flower_store_damaged_files", "gauge", (), "Files of the store that cannot be read.", _STORE
)

METRIC_FAMILIES: Final[tuple[MetricFamily, ...]] = (
    EVENTS, RUNTIME, PREFETCH_TIME, PREFETCHED, ONLINE, EXECUTING,
    WAIT, TYPE_RUNTIME,
    READY, UNACKNOWLEDGED, CONSUMERS, OLDEST, SAMPLED,
    RUNNING, CONNECTED, RATE, LAG, BACKLOG, BLOCKED, LAST_EVENT, GAPS, GAP_SECONDS, GAP_OPEN,
    BYTES, TASKS, BYTES_LIMIT, TASKS_LIMIT, DAMAGED,
)  # fmt: skip
