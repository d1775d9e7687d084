"""The event stream has the documented properties, and Celery computes the expected outcome from it."""

from collections import Counter

from celery.events.state import State

from bench.event_stream import WORKERS, Workload

SMALL = Workload(3_000)


def test_celery_computes_the_expected_states() -> None:
    state = State(max_tasks_in_memory=10 * SMALL.tasks)
    for emitted in SMALL.events():
        state.event({**emitted.event, "local_received": emitted.event["timestamp"]})
    outcomes = SMALL.outcomes()
    assert len(outcomes) == len(state.tasks) == SMALL.tasks
    for uuid, outcome in outcomes.items():
        task = state.tasks[uuid]
        assert (task.state, task.name, task.args, task.kwargs) == (
            outcome.state,
            outcome.name,
            outcome.args,
            outcome.kwargs,
        )


def test_equal_workloads_produce_equal_events() -> None:
    assert list(SMALL.events()) == list(Workload(3_000).events())
    assert SMALL.outcomes().keys() != Workload(3_000, seed=8).outcomes().keys()


def test_events_are_chronological_and_each_task_finishes_once() -> None:
    emitted = list(SMALL.events())
    times = [each.event["timestamp"] for each in emitted if each.event["type"].startswith("task-")]
    assert times == sorted(times)
    finished = Counter(each.event["uuid"] for each in emitted if each.final)
    assert len(finished) == SMALL.tasks
    assert set(finished.values()) == {1}


def test_mixture_is_realistic() -> None:
    emitted = list(SMALL.events())
    kinds = Counter(each.event["type"] for each in emitted)
    assert kinds["worker-online"] == len(WORKERS)
    assert kinds["worker-heartbeat"] > 0
    assert 3.4 < sum(kinds.values()) / SMALL.tasks < 3.8
    assert 0.03 < kinds["task-failed"] / SMALL.tasks < 0.06
    assert 0.02 < kinds["task-retried"] / SMALL.tasks < 0.05
    tracebacks = [len(each.event["traceback"]) for each in emitted if "traceback" in each.event]
    assert min(tracebacks) > 700
    assert max(tracebacks) < 5_000
