"""Workers that run tasks and send no task events, from given events."""

from flower.capture.task_event_monitor import EVENT_DELAY, SETTLING_TIME, TaskEventMonitor
from flower.records import Event

NAME = "celery@w1"
#: From then on tasks are counted.
SETTLED = SETTLING_TIME + 1


def beat(processed: int, pid: int = 1, event_type: str = "worker-heartbeat") -> Event:
    return Event(type=event_type, timestamp=1.0, hostname=NAME, pid=pid, processed=processed)


def task(event_type: str = "task-started") -> Event:
    return Event(type=event_type, timestamp=1.0, uuid="id", hostname=NAME)


def find(monitor: TaskEventMonitor, now: float) -> list[tuple[str, float, int | None]]:
    return [(each.name, each.since, each.tasks) for each in monitor.find_workers(now, "no_remote_control")]


def make_monitor() -> TaskEventMonitor:
    """A worker that has started five tasks, and none since."""
    monitor = TaskEventMonitor()
    monitor.add([beat(2, event_type="worker-online")], 0.0)
    monitor.add([beat(4)], SETTLING_TIME - 1)
    monitor.add([beat(5)], SETTLED)
    return monitor


def test_tasks_without_events_are_reported_after_a_delay() -> None:
    monitor = make_monitor()
    monitor.add([beat(5)], SETTLED + 1)
    assert find(monitor, SETTLED + 20) == []
    monitor.add([beat(7)], SETTLED + 2)
    monitor.add([task("task-sent"), beat(8)], SETTLED + 4)
    assert find(monitor, SETTLED + 2 + EVENT_DELAY) == []
    assert find(monitor, SETTLED + 3 + EVENT_DELAY) == [(NAME, SETTLED + 2, 3)]
    assert find(monitor, SETTLED + 99) == []  # it has stopped


def test_a_task_event_ends_the_report() -> None:
    monitor = make_monitor()
    monitor.add([beat(7)], SETTLED + 2)
    monitor.add([task(), beat(8)], SETTLED + 15)
    monitor.add([beat(8)], SETTLED + 17)
    assert find(monitor, SETTLED + 40) == []


def test_a_restart_a_gap_and_enabled_events_begin_again() -> None:
    later = SETTLED + 10
    for what in ("pid", "count", "gap", "enabled"):
        monitor = make_monitor()
        if what == "gap":
            monitor.reset()
        elif what == "enabled":
            monitor.reset(NAME)
        monitor.add([beat(1 if what == "count" else 9, pid=2 if what == "pid" else 1)], later)
        assert find(monitor, later + 20) == [], what
