"""The table of metrics. The exposition, the documentation and the check of dashboards and alerts are derived from
it."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MetricType: TypeAlias = Literal["counter", "gauge", "histogram"]

#: By type: the suffixes that sample names have after the name of the family.
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
    #: section of the documentation
    group: str

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names that a query can use."""
        return tuple(f"{self.name}{suffix}" for suffix in SUFFIXES[self.kind])


_FLOWER: Final = "As in Flower"
_WORKERS: Final = "By worker"
_TYPES: Final = "By task type"
_QUEUES: Final = "Queues"
_RECORDER: Final = "Recorder"
_STORE: Final = "Store"

EVENTS: Final = MetricFamily(
    "flower_events",
    "counter",
    ("worker", "type", "task"),
    "Task events by sender, including custom events; the sender of task-sent is the producer. Each event is counted "
    "once, however often it is delivered.",
    _FLOWER,
)
RUNTIME: Final = MetricFamily(
    "flower_task_runtime_seconds", "histogram", ("worker", "task"), "Run time of succeeded tasks.", _FLOWER
)
PREFETCH_TIME: Final = MetricFamily(
    "flower_task_prefetch_time_seconds",
    "gauge",
    ("worker", "task"),
    "Time between received and started of the running task that was started last; 0 if no task is running.",
    _FLOWER,
)
PREFETCHED: Final = MetricFamily(
    "flower_worker_prefetched_tasks",
    "gauge",
    ("worker", "task"),
    "Tasks without ETA that an online worker has received and not started.",
    _FLOWER,
)
ONLINE: Final = MetricFamily(
    "flower_worker_online",
    "gauge",
    ("worker",),
    "1 while the worker is online; 0 after worker-offline, or after two missed heartbeats without another sign of "
    "life. While Bellflower cannot receive or record events, the last known value.",
    _FLOWER,
)
EXECUTING: Final = MetricFamily(
    "flower_worker_number_of_currently_executing_tasks",
    "gauge",
    ("worker",),
    "Running tasks: state STARTED or a custom one, not lost.",
    _FLOWER,
)

LAST_SIGN: Final = MetricFamily(
    "flower_worker_last_seen_timestamp_seconds",
    "gauge",
    ("worker",),
    "Time of the last event or answer of the worker, by the clock of the recorder.",
    _WORKERS,
)
CLOCK_OFFSET: Final = MetricFamily(
    "flower_worker_clock_offset_seconds",
    "gauge",
    ("worker",),
    "Seconds by which the clock of the worker is ahead of the recorder's; absent if unknown.",
    _WORKERS,
)

WAIT: Final = MetricFamily(
    "flower_task_queue_wait_seconds",
    "histogram",
    ("task",),
    "Time between sent (received, without a task-sent event) and the first start of tasks without ETA.",
    _TYPES,
)
BACKOFF: Final = MetricFamily(
    "flower_task_backoff_seconds",
    "histogram",
    ("task",),
    "Time between a retry and the next start of the task.",
    _TYPES,
)
TYPE_RUNTIME: Final = MetricFamily(
    "flower_task_type_runtime_seconds",
    "histogram",
    ("task",),
    "Run time of succeeded tasks over all workers, including workers that are offline.",
    _TYPES,
)

READY: Final = MetricFamily(
    "flower_queue_messages", "gauge", ("queue",), "Messages ready for delivery; absent if unknown.", _QUEUES
)
UNACKNOWLEDGED: Final = MetricFamily(
    "flower_queue_unacknowledged_messages",
    "gauge",
    ("queue",),
    "Messages delivered to workers and not acknowledged; absent if unknown.",
    _QUEUES,
)
CONSUMERS: Final = MetricFamily(
    "flower_queue_consumers", "gauge", ("queue",), "Consumers of the queue; absent if unknown.", _QUEUES
)
OLDEST: Final = MetricFamily(
    "flower_queue_oldest_message_seconds",
    "gauge",
    ("queue",),
    "Age of the oldest ready message; absent if unknown or if there is none.",
    _QUEUES,
)
SAMPLED: Final = MetricFamily(
    "flower_queue_sampled_timestamp_seconds", "gauge", ("queue",), "Time of the last sample of the queue.", _QUEUES
)

RUNNING: Final = MetricFamily(
    "flower_recorder_running",
    "gauge",
    (),
    "1 if the recorder reported itself running within the last 15 seconds.",
    _RECORDER,
)
CONNECTED: Final = MetricFamily(
    "flower_recorder_connected", "gauge", (), "1 while the recorder is connected to the broker.", _RECORDER
)
RATE: Final = MetricFamily(
    "flower_recorder_events_per_second",
    "gauge",
    (),
    "Events recorded in the last second, including worker events.",
    _RECORDER,
)
LAG: Final = MetricFamily(
    "flower_recorder_lag_seconds",
    "gauge",
    (),
    "Time that the events of the last write waited in the recorder.",
    _RECORDER,
)
BACKLOG: Final = MetricFamily(
    "flower_recorder_backlog_bytes",
    "gauge",
    (),
    "Bytes received from the broker and not recorded yet, including those spilled to disk.",
    _RECORDER,
)
BLOCKED: Final = MetricFamily(
    "flower_recorder_blocked", "gauge", (), "1 while the disk is full and recording is paused.", _RECORDER
)
PUBLISHERS_BLOCKED: Final = MetricFamily(
    "flower_recorder_broker_blocks_publishers",
    "gauge",
    (),
    "1 while RabbitMQ accepts no messages because of an alarm for memory or disk space.",
    _RECORDER,
)
LAST_EVENT: Final = MetricFamily(
    "flower_recorder_last_event_timestamp_seconds", "gauge", (), "Time when the last event was received.", _RECORDER
)
GAPS: Final = MetricFamily(
    "flower_recorder_gaps", "gauge", (), "Recorded gaps: intervals in which events may be missing.", _RECORDER
)
GAP_SECONDS: Final = MetricFamily(
    "flower_recorder_gap_seconds", "gauge", (), "Total length of the gaps; an open gap ends now.", _RECORDER
)
GAP_OPEN: Final = MetricFamily(
    "flower_recorder_gap_open",
    "gauge",
    (),
    "1 while events may be missed because the broker is unreachable.",
    _RECORDER,
)

GAPS_BY_CAUSE: Final = MetricFamily(
    "flower_gaps", "counter", ("cause",), "Recorded gaps, open ones included, by cause.", _RECORDER
)
GAP_SECONDS_BY_CAUSE: Final = MetricFamily(
    "flower_gap_seconds", "counter", ("cause",), "Length of the gaps by cause; an open gap ends now.", _RECORDER
)
RECONCILE_REQUESTS: Final = MetricFamily(
    "flower_reconcile_requests",
    "counter",
    ("target",),
    "Requests of reconciliation to workers (messages), broker and result backend since the recorder started.",
    _RECORDER,
)
RECONCILE_REPLIES: Final = MetricFamily(
    "flower_reconcile_replies",
    "counter",
    (),
    "Replies of workers to reconciliation since the recorder started.",
    _RECORDER,
)
RECONCILE_SECONDS: Final = MetricFamily(
    "flower_reconcile_seconds",
    "counter",
    (),
    "Time that reconciliation has taken since the recorder started.",
    _RECORDER,
)
RECONCILE_TASKS: Final = MetricFamily(
    "flower_reconcile_tasks",
    "counter",
    ("outcome",),
    "Tasks that were checked, corrected, marked as lost, or found without a record since the recorder started.",
    _RECORDER,
)

BYTES: Final = MetricFamily("flower_store_bytes", "gauge", (), "Size of the store on disk.", _STORE)
TASKS: Final = MetricFamily("flower_store_tasks", "gauge", (), "Recorded tasks.", _STORE)
BYTES_LIMIT: Final = MetricFamily(
    "flower_store_limit_bytes", "gauge", (), "The option max_size; absent if unlimited.", _STORE
)
TASKS_LIMIT: Final = MetricFamily(
    "flower_store_limit_tasks", "gauge", (), "The option max_tasks; absent if unlimited.", _STORE
)
DAMAGED: Final = MetricFamily(
    "flower_store_damaged_files", "gauge", (), "Files of the store that cannot be read.", _STORE
)

METRIC_FAMILIES: Final[tuple[MetricFamily, ...]] = (
    EVENTS, RUNTIME, PREFETCH_TIME, PREFETCHED, ONLINE, EXECUTING,
    LAST_SIGN, CLOCK_OFFSET,
    WAIT, BACKOFF, TYPE_RUNTIME,
    READY, UNACKNOWLEDGED, CONSUMERS, OLDEST, SAMPLED,
    RUNNING, CONNECTED, RATE, LAG, BACKLOG, BLOCKED, PUBLISHERS_BLOCKED, LAST_EVENT, GAPS, GAP_SECONDS, GAP_OPEN,
    GAPS_BY_CAUSE, GAP_SECONDS_BY_CAUSE,
    RECONCILE_REQUESTS, RECONCILE_REPLIES, RECONCILE_SECONDS, RECONCILE_TASKS,
    BYTES, TASKS, BYTES_LIMIT, TASKS_LIMIT, DAMAGED,
)  # fmt: skip
