"""A successful run that is folded at once, compared with folding its events one by one."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from flower.fold import RUN_TYPES, fold, fold_successful_run
from flower.records import Event, Task

TIMES = st.sampled_from([990.0, 991.0, 992.0, 993.0])
NAMES = st.sampled_from([None, "add", "add", "other"])
TEXTS = st.sampled_from([None, "(1, 2)", ""])


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """The four events of a run, or three; most of them ordinary, each field of any of them may be unusual."""
    times = draw(st.one_of(st.just([990.0, 991.0, 991.0, 993.0]), st.lists(TIMES, min_size=4, max_size=4)))
    events = []
    for kind, at in zip(RUN_TYPES, times, strict=True):
        sender = "client" if kind == "task-sent" else "w1"
        describes = kind in RUN_TYPES[:2]
        event = Event(
            type=kind, timestamp=at, uuid="a", hostname=sender, pid=7, clock=draw(st.sampled_from([1, 2, None])),
            name="add" if describes else None, runtime=0.5 if kind == RUN_TYPES[-1] else None,
        )  # fmt: skip
        if draw(st.integers(0, 2)) == 0:
            event = Event(
                type=kind, timestamp=at, uuid="a", clock=event.clock,
                hostname=draw(st.sampled_from([sender, "w2", None])), pid=draw(st.sampled_from([7, 7, 8, None])),
                name=draw(NAMES), args=draw(TEXTS), kwargs=draw(TEXTS), result=draw(TEXTS), exception=draw(TEXTS),
                root_id=draw(st.sampled_from([None, "a", "root"])),
                parent_id=draw(st.sampled_from([None, "a", "parent"])),
                retries=draw(st.sampled_from([None, 0, 1])), eta=draw(TEXTS), expires=draw(TEXTS),
                queue=draw(TEXTS), exchange=draw(TEXTS), routing_key=draw(TEXTS),
                runtime=draw(st.sampled_from([None, 0.25])), data=draw(st.sampled_from([None, {"x": 1}])),
            )  # fmt: skip
        events.append(event)
    return events[draw(st.integers(0, 1)) :]


@given(runs())
def test_a_run_is_folded_at_once_as_event_by_event(events: list[Event]) -> None:
    at_once = fold_successful_run(events)
    if at_once is not None:
        one_by_one: Task | None = reduce(fold, events, None)
        assert at_once == one_by_one


def test_an_ordinary_run_is_folded_at_once() -> None:
    sent = Event(type="task-sent", timestamp=1.0, uuid="a", hostname="client", name="add", queue="mail", parent_id="p")
    received = Event(type="task-received", timestamp=2.0, uuid="a", hostname="w1", pid=7, name="add", args="(1,)")
    started = Event(type="task-started", timestamp=3.0, uuid="a", hostname="w1", pid=7)
    succeeded = Event(type="task-succeeded", timestamp=4.0, uuid="a", hostname="w1", pid=7, runtime=1.0, result="2")
    task = fold_successful_run([sent, received, started, succeeded])
    assert task is not None
    assert (task.state, task.queue, task.client, task.parent_id) == ("SUCCESS", "mail", "client", "p")
    without_sent = fold_successful_run([received, started, succeeded])
    assert without_sent is not None
    assert (without_sent.result, without_sent.sent) == ("2", None)


def test_an_unusual_run_is_folded_event_by_event() -> None:
    received = Event(type="task-received", timestamp=2.0, uuid="a", hostname="w1", pid=7)
    started = Event(type="task-started", timestamp=3.0, uuid="a", hostname="w2", pid=8)
    succeeded = Event(type="task-succeeded", timestamp=4.0, uuid="a", hostname="w2", pid=8)
    assert fold_successful_run([received, started, succeeded]) is None
