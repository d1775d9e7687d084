"""What workers answer, on both brokers."""

import time
from uuid import UUID

from celery import Celery

from flower.reconcile.connections import broker_connection, create_app
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.inspection import SILENT_TIMEOUT, WorkerInspector, parse_registered
from flower.recorder_settings import reconcile_settings
from flower.redaction import Redactor, Rules
from tests.helpers.clusters import Cluster
from tests.helpers.servers import wait_for


def inspector(cluster: Cluster) -> WorkerInspector:
    app = create_app(reconcile_settings(cluster.app, Rules()))
    return WorkerInspector(app, Redactor(), ReconcileCost())


def test_the_lists_of_a_worker_show_where_a_task_is(cluster: Cluster) -> None:
    running = cluster.app.send_task("shop.rest", (3,), {})
    later = cluster.app.send_task("shop.echo", (1,), {"password": "hunter2"}, countdown=600)
    assert cluster.worker.started(running.id)
    wait_for("a scheduled task", lambda: bool(cluster.worker.inspect("scheduled")))
    host = cluster.worker.hostname
    with broker_connection(cluster.app) as connection:
        found = inspector(cluster).inspect_tasks(connection, [host], [], [])
    assert found.answered == found.alive == {host}
    held = found.held[running.id]
    assert (held.list_name, held.hostname, held.name, held.args, held.queue) == (
        "active", host, "shop.rest", "(3,)", "celery",
    )  # fmt: skip
    assert held.started is not None
    assert abs(held.started - time.time()) < 60
    scheduled = found.held[later.id]
    assert (scheduled.list_name, scheduled.started) == ("scheduled", None)
    assert scheduled.kwargs == "{'password': '***'}"
    cluster.app.control.revoke(later.id)
    running.get(timeout=30)


def test_a_worker_describes_itself(cluster: Cluster) -> None:
    host = cluster.worker.hostname
    cost = ReconcileCost()
    with broker_connection(cluster.app) as connection:
        (profile,) = WorkerInspector(cluster.app, Redactor(), cost).describe_workers(connection, [host, "celery@gone"])
    assert (profile.hostname, profile.pool, profile.queues) == (host, "prefork", frozenset({"celery"}))
    assert cluster.worker.process is not None
    assert profile.pid == cluster.worker.process.pid
    assert profile.tasks is not None
    assert not profile.tasks["shop.add"].acks_late
    assert (cost.worker_requests, cost.worker_replies) == (3, 3)


def test_a_silent_worker_delays_an_inspection_only_briefly(cluster: Cluster) -> None:
    started = time.monotonic()
    with broker_connection(cluster.app) as connection:
        found = inspector(cluster).inspect_tasks(connection, [cluster.worker.hostname], ["celery@killed"], [])
        assert inspector(cluster).ping(connection, [cluster.worker.hostname]) == {cluster.worker.hostname}
    assert found.answered == {cluster.worker.hostname}
    assert time.monotonic() - started < SILENT_TIMEOUT + 2.0


def test_options_of_a_task_type_are_parsed() -> None:
    name, options = parse_registered("shop.mail [rate_limit=10/m acks_late=True time_limit=30]")
    assert (name, options.rate_limit, options.acks_late, options.time_limit) == ("shop.mail", True, True, 30.0)
    name, options = parse_registered("shop.add")
    assert (name, options.rate_limit, options.acks_late, options.time_limit) == ("shop.add", False, False, None)
    assert not parse_registered("shop.add [rate_limit=0 acks_late=False]")[1].rate_limit


def test_ids_that_were_sent_as_uuid_objects_are_read() -> None:
    inspector = WorkerInspector(Celery(broker="memory://", set_as_current=False), Redactor(), ReconcileCost())
    (task,) = inspector._parse_list("w", "active", [{"id": UUID(int=7), "name": "shop.add"}], 1.0)
    assert task.uuid == str(UUID(int=7))
