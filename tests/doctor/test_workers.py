"""Checks of workers, on real ones."""

import sys
from pathlib import Path

from flower.doctor.broker import check_broker
from flower.doctor.examination import Examination
from flower.doctor.models import DoctorResult
from flower.doctor.workers import check_clocks, check_heartbeats, check_workers
from tests.doctor.conftest import RunCheck, make_examination
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.servers import Redis


def examine(examination: Examination, run_check: RunCheck) -> list[DoctorResult]:
    checks = (check_broker, check_workers, check_heartbeats, check_clocks)
    return [result for check in checks for result in run_check(check, examination)][1:]


def test_a_worker_with_events_and_heartbeats_is_ok(cluster: Cluster, tmp_path: Path, run_check: RunCheck) -> None:
    examination = make_examination(tmp_path, app=cluster.app)
    results = examine(examination, run_check)
    assert [result.status for result in results] == ["ok", "ok", "ok", "ok"], results
    name = cluster.worker.hostname
    assert results[0].found == f"{name} replied"
    assert results[1].found == "Task events are enabled on all of them"
    assert results[2].found == f"Heartbeats of {name} arrive"
    assert examination.worker_versions[name]


class PlainWorker(Worker):
    """A worker without task events."""

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "celery", "-A", "plain_app", "--workdir", str(self.folder), "worker", "-n",
            self.hostname, "-c", "1", "--without-mingle", *self.options,
        ]  # fmt: skip

    def start(self) -> None:
        (self.folder / "plain_app.py").write_text(
            f"from celery import Celery\napp = Celery('plain', broker={str(self.app.conf.broker_url)!r})\n"
            f"app.conf.worker_enable_remote_control = {self.app.conf.worker_enable_remote_control}\n"
        )
        super().start()


def test_disabled_events_and_missing_heartbeats_are_found_and_not_changed(
    redis_server: Redis, tmp_path: Path, run_check: RunCheck
) -> None:
    broker = redis_server.url.removesuffix("0") + "5"
    with PlainWorker(make(broker, None), "plain", 1, "--without-heartbeat") as worker:
        without_enabler = make_examination(tmp_path, broker=broker, options={"enable_events": "false"})
        results = examine(without_enabler, run_check)
        assert [result.status for result in results] == ["ok", "error", "warning", "ok"], results
        assert results[1].found.startswith(
            f"{worker.hostname} send no task events: these are disabled, and enable_events"
        )
        assert results[2].found == f"No heartbeat of {worker.hostname} within 5 s"
        # The first examination has left the worker as it was.
        enabling = make_examination(tmp_path, broker=broker)
        results = [*run_check(check_broker, enabling), *run_check(check_workers, enabling)]
        assert results[2].status == "ok"
        assert results[2].found.startswith(f"Task events are disabled on {worker.hostname}; a running server enables")


def test_a_worker_that_cannot_send_events_is_an_error(redis_server: Redis, tmp_path: Path, run_check: RunCheck) -> None:
    broker = redis_server.url.removesuffix("0") + "6"
    with PlainWorker(make(broker, None), "mute", 1, "--without-gossip", "--without-heartbeat") as worker:
        results = examine(make_examination(tmp_path, broker=broker), run_check)
    assert [result.status for result in results] == ["ok", "error", "error", "skipped"], results
    assert results[1].found.startswith(f"{worker.hostname} cannot send events: started without -E")
    assert results[2].found.startswith(f"No event of {worker.hostname} arrived within 5 s")


class UncontrolledWorker(PlainWorker):
    """A worker that executes no commands; ready when it has subscribed to its queue."""

    def start(self) -> None:
        self.app.conf.worker_enable_remote_control = False
        super().start()

    def ready(self) -> bool:
        return "ready." in self.log.read_text()


def test_a_worker_that_executes_no_commands_is_a_warning(
    redis_server: Redis, tmp_path: Path, run_check: RunCheck
) -> None:
    broker = redis_server.url.removesuffix("0") + "8"
    with UncontrolledWorker(make(broker, None), "deaf", 1, "-l", "INFO") as worker:
        results = examine(make_examination(tmp_path, broker=broker), run_check)
    assert [result.status for result in results] == ["warning", "warning", "ok"], results
    assert results[0].found == "No worker replied within 2 s"
    assert results[1].found.startswith(f"{worker.hostname} cannot be controlled: no reply to commands")


def test_no_worker_is_a_warning_and_later_checks_are_skipped(
    redis_server: Redis, tmp_path: Path, run_check: RunCheck
) -> None:
    broker = redis_server.url.removesuffix("0") + "7"
    results = examine(make_examination(tmp_path, broker=broker), run_check)
    assert [result.status for result in results] == ["warning", "skipped", "skipped"]
    assert results[0].found == "No worker replied within 2 s"


def test_a_clock_that_differs_is_a_warning(tmp_path: Path, run_check: RunCheck) -> None:
    examination = make_examination(tmp_path)
    examination.broker_kind = "redis"
    examination.clock_offsets = {"celery@w1": -12.5, "celery@w2": 0.1}
    (result,) = run_check(check_clocks, examination)
    assert result.status == "warning"
    assert result.found == "Clocks differ from that of this host: celery@w1 12.5 s behind"
