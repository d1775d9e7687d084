"""The reconciler with real workers, result backends and brokers."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from msgspec.structs import replace

from flower.reconcile.results import backend_monitor
from flower.records import Gap, Lost, Task
from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.reconcile_session import ReconcileSession, live_worker, received_at, sent_to, silent_worker
from tests.helpers.servers import RabbitMQ, Redis, wait_for


def new_ids(count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


@pytest.fixture(params=["redis", "rabbitmq"])
def idle_app(request: pytest.FixtureRequest, redis_server: Redis) -> Celery:
    """An application with a queue that no worker consumes."""
    url = request.getfixturevalue(f"{request.param}_server").url
    app = make(url, redis_server.url.removesuffix("0") + "3")
    app.conf.task_default_queue = f"idle-{uuid4()}"
    return app


def queue_length(app: Celery) -> int:
    with app.connection_for_read() as connection:
        declared = connection.default_channel.queue_declare(app.conf.task_default_queue, passive=True)
        return int(declared.message_count)


def test_a_task_that_ended_unobserved_gets_its_end_from_the_result_backend(cluster: Cluster, tmp_path: Path) -> None:
    done, failed = cluster.app.send_task("shop.add", (1, 2)), cluster.app.send_task("shop.fail", ("no",))
    done.get(timeout=30)
    failed.get(timeout=30, propagate=False)
    tasks = received_at(cluster.worker.hostname, [done.id, failed.id], state="STARTED")
    with ReconcileSession(
        cluster.app, tmp_path, tasks=tasks, workers=[live_worker(cluster.worker.hostname)]
    ) as session:
        found = session.wait_for_evidence(done.id)
        assert (found.source, found.state, found.result) == ("result_backend", "SUCCESS", "3")
        assert found.ended is not None
        assert abs(found.ended - time.time()) < 60
        found = session.wait_for_evidence(failed.id)
        assert (found.state, found.exception) == ("FAILURE", "ValueError('no')")
        assert "card" not in (found.traceback or "")
        assert "ValueError: no" in (found.traceback or "")


def test_a_running_task_is_found_at_its_worker(cluster: Cluster, tmp_path: Path) -> None:
    """Also one that was never recorded: it began before events were enabled."""
    known, unknown = (cluster.app.send_task("shop.rest", (8,)) for _ in range(2))
    assert cluster.worker.started(known.id)
    assert cluster.worker.started(unknown.id)
    tasks = sent_to("celery", [known.id])
    with ReconcileSession(
        cluster.app, tmp_path, tasks=tasks, workers=[live_worker(cluster.worker.hostname)]
    ) as session:
        for uuid in (known.id, unknown.id):
            found = session.wait_for_evidence(uuid)
            assert (found.source, found.state) == ("worker", "STARTED")
            assert (found.hostname, found.name) == (cluster.worker.hostname, "shop.rest")
            assert found.started is not None
            assert abs(found.started - time.time()) < 60
            assert (found.basis is None) == (uuid == unknown.id)
        assert {each.hostname for each in session.answers} == {cluster.worker.hostname}
        assert {each.pool for each in session.answers} >= {"prefork"}
    known.get(timeout=30)
    unknown.get(timeout=30)


def test_a_task_of_a_silent_worker_that_no_source_has_is_marked(idle_app: Celery, tmp_path: Path) -> None:
    (task,) = received_at("celery@killed", new_ids(1), state="STARTED", queue=idle_app.conf.task_default_queue)
    with ReconcileSession(idle_app, tmp_path, tasks=[task], workers=[silent_worker("celery@killed")]) as session:
        found = session.wait_for_evidence(task.uuid)
        assert found.lost is not None
        assert found.lost.reason == "worker_offline"
        assert found.lost.queried == ("workers", "result backend", "queue")
        assert found.state is None


def test_a_task_of_a_silent_worker_whose_clock_is_ahead_is_marked(idle_app: Celery, tmp_path: Path) -> None:
    """Its times are in the future of the recorder's clock."""
    ahead = 3600.0
    queue = idle_app.conf.task_default_queue
    (task,) = received_at("celery@ahead", new_ids(1), state="STARTED", queue=queue, clock_offset=ahead)
    moved = {name: getattr(task, name) + ahead for name in ("received", "timestamp")}
    task = replace(task, started=time.time() - 59 + ahead, **moved)
    silent = silent_worker("celery@ahead")
    worker = replace(silent, clock_offset=ahead, timestamp=(silent.timestamp or 0.0) + ahead)
    with ReconcileSession(idle_app, tmp_path, tasks=[task], workers=[worker]) as session:
        found = session.wait_for_evidence(task.uuid)
        assert found.lost is not None
        assert found.lost.reason == "worker_offline"
        assert abs(found.lost.since - time.time()) < 120


def test_a_task_that_came_back_from_a_stopped_worker_waits_in_its_queue(idle_app: Celery, tmp_path: Path) -> None:
    sent = [idle_app.send_task("shop.add", (1, 2)).id for _ in range(3)]
    tasks = received_at("celery@stopped", sent, queue=idle_app.conf.task_default_queue)
    wait_for("the messages", lambda: queue_length(idle_app) == 3)
    offline = live_worker("celery@stopped", online=False)
    with ReconcileSession(idle_app, tmp_path, tasks=tasks, workers=[offline]) as session:
        for uuid in sent:
            found = session.wait_for_evidence(uuid)
            assert (found.source, found.state, found.hostname) == ("broker", "PENDING", None)


def test_purged_tasks_are_marked_and_waiting_ones_are_not(idle_app: Celery, tmp_path: Path) -> None:
    purged = new_ids(3)
    waiting = [idle_app.send_task("shop.add", (1, 2)).id for _ in range(2)]
    queue = idle_app.conf.task_default_queue
    # RabbitMQ adds a message to its queue some time after it was published.
    wait_for("the messages", lambda: queue_length(idle_app) == 2)
    with ReconcileSession(idle_app, tmp_path, tasks=sent_to(queue, [*purged, *waiting])) as session:
        for uuid in purged:
            found = session.wait_for_evidence(uuid)
            assert found.lost is not None
            assert found.lost.reason == "not_in_queue"
        assert not session.about(*waiting)


def test_a_waiting_task_that_was_never_recorded_is_found_in_its_queue(redis_server: Redis, tmp_path: Path) -> None:
    """It was sent during a gap."""
    app = make(redis_server.url, None)
    app.conf.task_default_queue = f"idle-{uuid4()}"
    uuid = app.send_task("shop.add", (1, 2)).id
    with ReconcileSession(app, tmp_path) as session:
        found = session.wait_for_evidence(uuid)
        assert (found.source, found.state, found.basis, found.hostname) == ("broker", "PENDING", None, None)
        assert (found.name, found.args, found.queue) == ("shop.add", "(1, 2)", app.conf.task_default_queue)


def test_a_task_that_expired_in_its_queue_is_revoked(rabbitmq_server: RabbitMQ, tmp_path: Path) -> None:
    """RabbitMQ drops it, and no worker reports that."""
    app = make(rabbitmq_server.url, None)
    app.conf.task_default_queue = f"idle-{uuid4()}"
    then = time.time() - 10
    expires = "2026-01-01T00:00:00+00:00"
    uuid = app.send_task("shop.add", (1, 2), expires=0.1).id
    task = Task(uuid, name="shop.add", queue=app.conf.task_default_queue, sent=then, timestamp=then, expires=expires)
    hidden = Task(str(uuid4()), queue=app.conf.task_default_queue, sent=then - 100, timestamp=then, expires=expires)
    gap = Gap(then - 90, then - 80, "the broker was unreachable")
    with ReconcileSession(app, tmp_path, tasks=[task, hidden], gaps=[gap]) as session:
        found = session.wait_for_evidence(uuid)
        assert (found.source, found.state) == ("broker", "REVOKED")
        found = session.wait_for_evidence(hidden.uuid)
        assert found.lost is not None, "it may have run during the gap"


def test_a_message_that_a_stopped_worker_has_not_acknowledged_waits(redis_server: Redis, tmp_path: Path) -> None:
    app = make(redis_server.url.removesuffix("0") + "4", None)
    uuid = app.send_task("shop.add", (1, 2)).id
    with app.connection_for_read() as connection:
        consumer = connection.Consumer([app.amqp.queues["celery"]], accept=["json"])
        consumer.register_callback(lambda body, message: None)
        consumer.consume()
        connection.drain_events(timeout=10)
        channel = connection.default_channel
        with channel.conn_or_acquire() as client:
            wait_for("an unacknowledged message", lambda: client.hlen("unacked") == 1)
        for worker, marked in ((live_worker("celery@x", online=False), False), (silent_worker("celery@x"), True)):
            tasks = received_at("celery@x", [uuid])
            folder = tmp_path / str(marked)
            folder.mkdir()
            with ReconcileSession(app, folder, tasks=tasks, workers=[worker]) as session:
                found = session.wait_for_evidence(uuid)
                if marked:
                    assert found.lost is not None
                    assert found.lost.reason == "message_unacknowledged"
                else:
                    assert (found.source, found.state) == ("broker", "PENDING")


def test_a_task_that_waits_for_its_rate_limit_is_neither_lost_nor_returned(cluster: Cluster, tmp_path: Path) -> None:
    cluster.app.control.rate_limit("shop.limited", "1/m", destination=[cluster.worker.hostname])
    try:
        sent = [cluster.app.send_task("shop.limited", (number,)).id for number in range(3)]
        cluster.app.AsyncResult(sent[0]).get(timeout=30)
        lost = Lost(time.time(), "end_not_observed", "A wrong mark")
        tasks = received_at(cluster.worker.hostname, [sent[1]], name="shop.limited")
        marked = received_at(cluster.worker.hostname, [sent[2]], name="shop.limited", lost=lost)
        with ReconcileSession(
            cluster.app, tmp_path, tasks=[*tasks, *marked], workers=[live_worker(cluster.worker.hostname)]
        ) as session:
            found = session.wait_for_evidence(sent[2])
            assert (found.state, found.hostname, found.lost) == ("RECEIVED", cluster.worker.hostname, None)
            session.wait_for_checks(2)
            assert len(session.about(*sent)) == 1
    finally:
        cluster.app.control.rate_limit("shop.limited", "0", destination=[cluster.worker.hostname])


@pytest.fixture
def backend_url(redis_server: Redis) -> Iterator[str]:
    url = redis_server.url.removesuffix("0") + "5"
    app = make(redis_server.url, url)
    app.backend.client.flushdb()
    yield url
    app.backend.client.flushdb()


def test_tasks_that_ended_during_a_gap_are_found_although_never_recorded(
    redis_server: Redis, backend_url: str, tmp_path: Path
) -> None:
    app = make(redis_server.url, backend_url)
    app.conf.task_default_queue = f"idle-{uuid4()}"
    app.conf.result_extended = True
    now = time.time()
    inside, outside, finished = new_ids(3)
    for uuid in (inside, outside, finished):
        app.backend.store_result(uuid, {"total": 3}, "SUCCESS", request=_request(app, uuid))
    _set_end(app, outside, now - 1000)
    done = Task(finished, state="SUCCESS", timestamp=now, succeeded=now)
    with ReconcileSession(app, tmp_path, tasks=[done]) as session:
        session.add_gaps(Gap(now - 20, now - 1, "the recorder was not running"))
        found = session.wait_for_evidence(inside)
        assert (found.source, found.state, found.basis) == ("result_backend", "SUCCESS", None)
        assert (found.name, found.queue, found.hostname) == ("shop.add", "mail", "celery@one")
        assert (found.args, found.kwargs, found.result) == ("(1,)", "{'password': '***'}", "{'total': 3}")
        assert found.parent_id == "parent"
        assert not session.about(outside, finished)


def _request(app: Celery, uuid: str) -> object:
    from celery.app.task import Context

    return Context(
        id=uuid, task="shop.add", args=[1], kwargs={"password": "hunter2"}, hostname="celery@one", parent_id="parent",
        delivery_info={"routing_key": "mail"}, retries=0,
    )  # fmt: skip


def _set_end(app: Celery, uuid: str, moment: float) -> None:
    import json
    from datetime import UTC, datetime

    key = app.backend.get_key_for_task(uuid)
    meta = json.loads(app.backend.client.get(key))
    meta["date_done"] = datetime.fromtimestamp(moment, UTC).isoformat()
    app.backend.client.set(key, json.dumps(meta))


def test_an_unreachable_result_backend_leaves_tasks_undecided_and_is_reported(
    redis_server: Redis, tmp_path: Path
) -> None:
    app = make(redis_server.url, "redis://127.0.0.1:1/0")
    app.conf.task_default_queue = f"idle-{uuid4()}"
    tasks = sent_to(app.conf.task_default_queue, new_ids(1))
    with ReconcileSession(app, tmp_path, tasks=tasks) as session:
        session.wait_until("a report", lambda: "connection refused" in (session.reconciler.status()["error"] or ""))
        session.wait_for_checks(2)
        assert not session.about(tasks[0].uuid)


def test_a_task_is_marked_if_the_result_backend_stays_unreachable(redis_server: Redis, tmp_path: Path) -> None:
    app = make(redis_server.url, "redis://127.0.0.1:1/0")
    app.conf.task_default_queue = f"idle-{uuid4()}"
    tasks = sent_to(app.conf.task_default_queue, new_ids(1))
    with ReconcileSession(app, tmp_path, tasks=tasks, backend_patience=0.0) as session:
        found = session.wait_for_evidence(tasks[0].uuid)
        assert found.lost is not None
        assert found.lost.reason == "not_in_queue"
        assert found.lost.detail.endswith("; the result backend could not be queried")
        assert "result backend" not in found.lost.queried
        assert "connection refused" in (session.reconciler.status()["error"] or "")


def test_an_unreachable_result_backend_is_reported_if_a_gap_cannot_be_searched(
    redis_server: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(redis_server.url, "redis://127.0.0.1:1/0")
    app.conf.task_default_queue = f"idle-{uuid4()}"
    with ReconcileSession(app, tmp_path, tasks=[]) as session:
        session.add_gaps(Gap(time.time() - 20, time.time() - 1, "the recorder was not running"))
        session.wait_until("a report", lambda: session.reconciler.status()["error"] is not None)
        assert session.reconciler.status()["error"] == "result backend: connection refused"
        session.wait_until("a warning", lambda: "reconcile: result backend: connection refused" in caplog.text)
        assert redis_server.url not in caplog.text
        session.wait_until("a pass", lambda: session.reconciler.status()["last_pass_at"] is not None)


def test_a_result_backend_that_fails_is_reported_although_no_task_requires_it(
    redis_server: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHECK_INTERVAL", "FAILURE_CHECK_INTERVAL"):
        monkeypatch.setattr(backend_monitor, name, 0.2)
    with Redis() as backend, ReconcileSession(make(redis_server.url, backend.url), tmp_path) as session:
        status = session.reconciler.status
        session.wait_until("requests", lambda: status()["backend_requests"] > 1)
        assert (status()["backend_error"], status()["backend_failed_at"]) == (None, None)
        stopped = time.time()
        backend.stop()
        session.wait_until("a report", lambda: status()["backend_error"] is not None)
        assert status()["backend_error"] == "connection refused"
        failed_at = status()["backend_failed_at"]
        assert stopped <= failed_at <= time.time()
        session.wait_until("later requests", lambda: time.time() > failed_at + 1)
        assert status()["backend_failed_at"] == failed_at
        backend.start()
        session.wait_until("the end", lambda: status()["backend_error"] is None)
        assert (status()["error"], status()["backend_failed_at"]) == (None, None)


def test_a_wrong_password_of_the_result_backend_is_reported_without_it(redis_server: Redis, tmp_path: Path) -> None:
    with Redis("--requirepass", "right") as backend:
        app = make(redis_server.url, backend.url.replace("redis://", "redis://:topsecret@"))
        with ReconcileSession(app, tmp_path) as session:
            session.wait_until("a report", lambda: session.reconciler.status()["backend_error"] is not None)
            assert session.reconciler.status()["backend_error"] == "the server rejected the user or password"
            assert "topsecret" not in json.dumps(session.reconciler.status())


def test_ten_thousand_open_tasks_are_corrected_within_seconds_after_a_gap(
    redis_server: Redis, backend_url: str, tmp_path: Path
) -> None:
    app = make(redis_server.url, backend_url)
    app.conf.task_default_queue = f"idle-{uuid4()}"
    ids = new_ids(10_000)
    ended = datetime.now(UTC).isoformat()
    entries = {
        app.backend.get_key_for_task(uuid): json.dumps(
            {"status": "SUCCESS", "result": 3, "traceback": None, "children": [], "date_done": ended, "task_id": uuid}
        )
        for uuid in ids
    }
    app.backend.client.mset(entries)
    tasks = received_at("celery@one", ids, state="STARTED", queue=app.conf.task_default_queue)
    with ReconcileSession(app, tmp_path, tasks=tasks, workers=[silent_worker("celery@one")]) as session:
        started = time.monotonic()
        session.wait_until("all ends", lambda: len(session.about(*ids)) == len(ids))
        assert time.monotonic() - started < 10
        assert {each.state for each in session.about(*ids)} == {"SUCCESS"}
