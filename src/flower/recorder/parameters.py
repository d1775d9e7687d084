"""Batch sizes, intervals and delays of the recorder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecorderTuning:
    """Their effect on readers is described in docs/storage.md."""

    #: Received events are written as soon as no more are waiting. `write_share` bounds the time spent with writing, and
    #: so the cost of single events: after a write of 5 ms the next one begins 95 ms later,
    write_share: float = 0.05
    #: but at the latest after this many seconds,
    max_delay: float = 0.06
    #: or this many at a high rate: fewer, larger writes cost less. A burst ends when no event has arrived for
    #: `burst_pause` seconds.
    busy_delay: float = 0.5
    burst_pause: float = 0.02
    #: seconds between two writes at a high rate, at most: in a burst with pauses, fewer and larger writes cost less
    max_busy_pause: float = 0.2
    #: events per second above which the rate is high
    busy_rate: float = 10_000.0
    #: seconds between two looks at other sources than events
    poll_interval: float = 0.1
    #: number of events at which a batch is written immediately
    flush_events: int = 40_000
    #: bytes at which a batch is written immediately; limits memory with large arguments
    flush_bytes: int = 32 << 20
    #: seconds for which unfinished tasks are held back at a high rate, so that most tasks are written once instead of
    #: three times
    hold_delay: float = 2.0
    #: seconds after a write in which they are written too if no more events arrive
    pause_delay: float = 0.15
    #: At or below this many events per message the number of messages is high, and a broker slows down if many are
    #: unacknowledged (RabbitMQ delivered 27k events/s when acknowledgements were delayed by 1 s, 65k otherwise): held
    #: tasks are then stored separately, not visible to readers, and their events are acknowledged at once.
    small_message_events: int = 4
    #: unfinished tasks kept in memory; others are read from the store at their next event
    max_cached_tasks: int = 20_000
    #: unfinished tasks with more characters of text than this are not kept in memory
    max_cached_text: int = 16_384
    #: workers with a record; those whose last event is oldest are removed
    max_workers: int = 10_000
    #: seconds for writing captured events after stop was requested
    shutdown_timeout: float = 3.0
    #: seconds between two writes of the status file
    status_interval: float = 1.0
    #: seconds between two runs of retention
    prune_interval: float = 10.0
    #: seconds between two maintenance steps of the store, each of which takes a fraction of a second
    maintenance_interval: float = 1.0
    #: seconds between two attempts to write while the disk is full
    disk_retry_interval: float = 1.0
