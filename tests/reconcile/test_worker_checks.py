"""When workers are contacted besides inspections."""

from msgspec.structs import replace

from flower.reconcile.cluster_view import ClusterView, WorkerProfile
from flower.reconcile.findings import WorkersAnswer
from flower.reconcile.worker_checks import WorkerChecks
from flower.records import Worker

NOW = 10_000.0
ALIVE = Worker("celery@one", pid=7, heartbeat=NOW, timestamp=NOW)
SILENT = replace(ALIVE, heartbeat=NOW - 60)


def view(worker: Worker, now: float = NOW) -> ClusterView:
    return ClusterView(now, {worker.hostname: worker})


def test_a_new_or_restarted_worker_describes_itself_once() -> None:
    now = [0.0]
    checks = WorkerChecks(lambda: now[0])
    assert checks.due(view(ALIVE), ()).describe == {"celery@one"}
    checks.add_profiles([WorkerProfile("celery@one", NOW, pid=7)], ["celery@one"])
    assert not checks.due(view(ALIVE), ()).has_any
    assert checks.due(view(replace(ALIVE, pid=8)), ()).describe == {"celery@one"}


def test_the_profile_of_a_worker_whose_tasks_are_examined_is_renewed() -> None:
    """Its rate limits may have changed."""
    checks = WorkerChecks(lambda: 0.0)
    checks.add_profiles([WorkerProfile("celery@one", NOW - 90, pid=7)], ["celery@one"])
    assert not checks.due(view(ALIVE), ()).describe
    assert checks.due(view(ALIVE), {"celery@one"}).describe == {"celery@one"}


def test_a_worker_that_does_not_answer_is_contacted_less_and_less() -> None:
    now = [0.0]
    checks = WorkerChecks(lambda: now[0])
    nothing = WorkersAnswer(NOW)
    checks.add_inspection(["celery@one"], nothing)
    assert checks.skipped() == frozenset()
    checks.add_inspection(["celery@one"], nothing)
    assert checks.skipped() == {"celery@one"}
    now[0] += 11.0
    assert checks.skipped() == frozenset()
    checks.add_inspection(["celery@one"], replace_alive("celery@one"))
    assert checks.skipped() == frozenset()


def replace_alive(name: str) -> WorkersAnswer:
    return WorkersAnswer(NOW, frozenset({name}), frozenset({name}))


def test_a_worker_that_becomes_silent_is_pinged_at_once_and_then_rarely() -> None:
    now = [0.0]
    checks = WorkerChecks(lambda: now[0])
    pinged_at = []
    for second in range(80):
        now[0] = float(second)
        if checks.due(view(SILENT), ()).ping:
            checks.add_pings(["celery@one"])
            pinged_at.append(second)
    assert pinged_at == [0, 7, 37, 67]
    assert not checks.due(view(replace(SILENT, online=False)), ()).has_any
