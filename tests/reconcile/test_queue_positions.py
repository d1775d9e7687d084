"""Which tasks are in a queue of which only the length is known."""

from hypothesis import given
from hypothesis import strategies as st

from flower.reconcile.queue_positions import QueuedTask, derive_positions


def queued(count: int, *, clock: str | None = "sender") -> list[QueuedTask]:
    return [QueuedTask(str(number), 100.0 + number, clock=clock) for number in range(count)]


def test_the_youngest_tasks_are_in_the_queue() -> None:
    assert derive_positions(2, queued(4)) == {"0": "absent", "1": "absent", "2": "waiting", "3": "waiting"}


def test_an_empty_queue_has_no_task() -> None:
    assert set(derive_positions(0, queued(3)).values()) == {"absent"}


def test_messages_of_other_tasks_leave_all_waiting() -> None:
    assert set(derive_positions(7, queued(3)).values()) == {"waiting"}


def test_younger_tasks_that_were_not_read_are_counted() -> None:
    assert derive_positions(10, queued(3), younger=9) == {"0": "absent", "1": "absent", "2": "waiting"}
    assert set(derive_positions(5, queued(3), younger=9).values()) == {"absent"}


def test_priorities_make_the_order_unknown() -> None:
    assert set(derive_positions(1, queued(3), is_ordered=False).values()) == {"unknown"}
    assert set(derive_positions(0, queued(3), is_ordered=False).values()) == {"absent"}


def test_times_of_two_senders_prove_an_order_only_if_they_differ_clearly() -> None:
    close = [QueuedTask("a", 100.0, clock="one"), QueuedTask("b", 101.0, clock="two")]
    assert derive_positions(1, close) == {"a": "unknown", "b": "unknown"}
    apart = [QueuedTask("a", 100.0, clock="one"), QueuedTask("b", 110.0, clock="two")]
    assert derive_positions(1, apart) == {"a": "absent", "b": "waiting"}


def test_a_task_that_may_have_been_acknowledged_proves_nothing() -> None:
    tasks = [QueuedTask("a", 1.0, clock="x"), QueuedTask("b", 2.0, is_certain=False, clock="x")]
    assert derive_positions(1, tasks) == {"a": "unknown", "b": "unknown"}
    assert derive_positions(2, tasks) == {"a": "waiting", "b": "unknown"}
    assert derive_positions(0, tasks) == {"a": "absent", "b": "absent"}


@given(st.integers(0, 30), st.integers(0, 40), st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_task_in_a_first_in_first_out_queue_is_never_absent(taken: int, foreign: int, certain: list[bool]) -> None:
    tasks = [QueuedTask(each.uuid, each.queued_at, certain[number], "sender") for number, each in enumerate(queued(30))]
    ready = 30 - taken + foreign
    positions = derive_positions(ready, tasks)
    assert all(positions[each.uuid] != "absent" for each in tasks[taken:])
