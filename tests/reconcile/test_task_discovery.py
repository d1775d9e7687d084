"""Tasks of workers that are not recorded."""

from flower.reconcile.findings import HeldTask, QueuedMessage, WorkerList, WorkersAnswer
from flower.reconcile.task_discovery import MIN_AGE, UnrecordedMessages, UnrecordedTasks
from flower.records import Task

NOW = 10_000.0


def answer(*tasks: HeldTask) -> WorkersAnswer:
    return WorkersAnswer(NOW, held={task.uuid: task for task in tasks})


def held(uuid: str, list_name: WorkerList = "reserved", started: float | None = None) -> HeldTask:
    return HeldTask(uuid, "celery@one", list_name, NOW, name="shop.add", started=started)


def test_a_task_that_runs_for_some_time_without_a_record_is_recorded() -> None:
    tasks = UnrecordedTasks(lambda: 0.0)
    young = held("young", "active", NOW - 1)
    (found,) = tasks.select(answer(held("old", "active", NOW - 60), young), lambda _: None)
    assert (found.uuid, found.state, found.basis, found.source) == ("old", "STARTED", None, "worker")
    assert tasks.next_look_at == MIN_AGE


def test_a_prefetched_task_is_recorded_if_its_events_do_not_arrive() -> None:
    now = [0.0]
    tasks = UnrecordedTasks(lambda: now[0])
    assert tasks.select(answer(held("a")), lambda _: None) == []
    now[0] += MIN_AGE
    (found,) = tasks.select(answer(held("a")), lambda _: None)
    assert (found.state, found.hostname) == ("RECEIVED", "celery@one")


def test_a_recorded_task_is_left_out() -> None:
    tasks = UnrecordedTasks(lambda: 0.0)
    assert tasks.select(answer(held("a", "active", NOW - 60)), Task) == []
    assert tasks.next_look_at is None


def test_a_message_that_waits_for_some_time_without_a_record_is_recorded() -> None:
    now = [0.0]
    messages = UnrecordedMessages(lambda: now[0])
    waiting = QueuedMessage("a", True, NOW, queue="mail", name="shop.add", args="(1,)")
    retry = QueuedMessage("b", False, NOW, name="shop.add", retries=2)
    held = QueuedMessage("c", False, NOW, name="shop.add")
    recorded = QueuedMessage("d", True, NOW, name="shop.add")

    def select() -> list[tuple[str, str | None, str | None]]:
        found = messages.select(
            [waiting, retry, held, recorded], {"d": Task("d")}.get, lambda message: message.uuid == "c"
        )
        return [(each.uuid, each.state, each.queue) for each in found]

    assert select() == []
    assert messages.next_look_at == MIN_AGE
    now[0] += MIN_AGE
    assert select() == [("a", "PENDING", "mail"), ("b", "RETRY", None)]
    assert messages.next_look_at is None
