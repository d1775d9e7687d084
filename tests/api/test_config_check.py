"""Checks of Celery settings: by events, by the configuration of workers, by that of the application."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flower.api.config_check import SETTING_RULES, CheckInput, check_config, collect_check_input
from flower.api.context import Context
from flower.celery_app import LazyApp, lazy_app
from flower.cluster.inspection_cache import InspectionCache
from flower.http.v1.openapi_examples import example_store
from flower.records import Task, Worker
from flower.store.factory import open_ledger
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.web_server import WebServer, no_application

EVENTS, SENT, STARTED, EXTENDED = (rule.name for rule in SETTING_RULES)


def states(context: Context) -> dict[str, str]:
    return {check.setting: check.state for check in check_config(context).checks}


class CaptureSession:
    def __init__(self, folder: Path) -> None:
        store = MemoryStore()
        self.writer, self.reader = MemoryWriter(store), MemoryReader(store)
        self.ledger = open_ledger(folder)
        self.now = time.time()

    def context(self, app: Any = no_application, **configs: dict[str, Any]) -> Context:
        """With workers online that have these settings."""
        inspections = InspectionCache()
        inspections.store_replies(None, {"conf": configs}, self.now)
        self.writer.write(Batch(workers=[Worker(name, heartbeat=self.now, freq=60.0) for name in configs]))
        return Context(self.reader, app, self.ledger, inspections=inspections)

    def tasks(self, count: int, **times: float) -> None:
        given: dict[str, Any] = {name: self.now - ago for name, ago in times.items()}
        newest = max(given.values())
        self.writer.write(Batch(new=[Task(f"{count}-{n}", **given, timestamp=newest) for n in range(count)]))


@pytest.fixture
def rig(tmp_path: Path) -> Any:
    rig = CaptureSession(tmp_path)
    yield rig
    rig.ledger.close()


def test_without_data_all_settings_are_unknown(rig: CaptureSession) -> None:
    result = check_config(rig.context())
    assert [check.state for check in result.checks] == ["unknown"] * 4
    assert (result.events_seen, result.workers_seen) == (False, False)
    assert result.checks[0].instructions == "app.conf.worker_send_task_events = True"


def test_events_show_that_they_are_enabled(rig: CaptureSession) -> None:
    rig.tasks(3, received=60.0)
    by_setting = states(rig.context())
    assert (by_setting[EVENTS], by_setting[SENT]) == ("on", "off")
    rig.tasks(2, received=60.0, sent=61.0)
    assert states(rig.context())[SENT] == "on"
    source = check_config(rig.context()).checks[1].source
    assert source == "2 of 5 tasks within the last hour have a task-sent event."


def test_old_events_are_ignored(rig: CaptureSession) -> None:
    rig.tasks(3, received=4_000.0, sent=4_001.0)
    by_setting = states(rig.context())
    assert (by_setting[EVENTS], by_setting[SENT]) == ("unknown", "unknown")


def test_tasks_with_only_a_sent_event(rig: CaptureSession) -> None:
    rig.tasks(1, sent=5.0)
    by_setting = states(rig.context())
    assert (by_setting[EVENTS], by_setting[SENT]) == ("unknown", "on")


def test_by_the_configuration_of_workers(rig: CaptureSession) -> None:
    on = {"result_extended": True, "CELERY_TRACK_STARTED": True, "task_send_sent_event": False}
    by_setting = states(rig.context(w1=on))
    assert by_setting == {EVENTS: "unknown", SENT: "off", STARTED: "on", EXTENDED: "on"}
    by_setting = states(rig.context(w1=on, w2={}))
    assert (by_setting[STARTED], by_setting[EXTENDED]) == ("off", "off")
    source = check_config(rig.context(w1=on, w2={})).checks[3].source
    assert source == "Not set on w2 (1 of 2 workers)."


def test_a_worker_that_runs_tasks_without_events(rig: CaptureSession) -> None:
    rig.writer.write(Batch(workers=[Worker("w1", heartbeat=rig.now, freq=60.0, processed=9)]))
    [first, *_] = check_config(Context(rig.reader, no_application, rig.ledger)).checks
    assert (first.state, first.source) == ("off", "w1 has run tasks without sending task events.")


def test_only_a_loaded_user_application_counts(rig: CaptureSession) -> None:
    from celery import Celery

    app = Celery("shop", set_as_current=False)
    app.conf.result_extended = True
    lazy = LazyApp(lambda: app)
    assert states(rig.context(lazy))[EXTENDED] == "unknown"
    lazy()
    assert states(rig.context(lazy)) == {EVENTS: "unknown", SENT: "off", STARTED: "off", EXTENDED: "on"}
    unnamed = lazy_app(None, "memory://")
    unnamed()
    assert set(states(rig.context(unnamed)).values()) == {"unknown"}


def test_events_take_precedence_over_configuration(rig: CaptureSession) -> None:
    rig.tasks(1, received=1.0)
    check_input = collect_check_input(rig.reader, {"w1": {}}, dict.fromkeys((EVENTS, SENT), True), rig.now)
    assert check_input == CheckInput(received_tasks=1, worker_configs={"w1": {}}, app_config={EVENTS: True, SENT: True})
    by_setting = states(rig.context(w1={"task_send_sent_event": True}))
    assert (by_setting[EVENTS], by_setting[SENT]) == ("on", "off")


def test_over_http(opened: None) -> None:
    with WebServer(example_store()) as server:
        result = server.http.get("/api/v1/config-check").json()
    assert [check["setting"] for check in result["checks"]] == [EVENTS, SENT, STARTED, EXTENDED]
    assert (result["events_seen"], result["workers_seen"]) == (True, True)


def test_celery_is_not_imported() -> None:
    program = (
        "import sys, tempfile\n"
        "from flower.api.config_check import check_config\n"
        "from flower.api.context import Context\n"
        "from flower.api.health import health\n"
        "from flower.http.v1.openapi_examples import example_store\n"
        "from flower.celery_app import lazy_app\n"
        "from flower.store.factory import open_ledger\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    ledger = open_ledger(folder)\n"
        "    check_config(Context(example_store(), lazy_app('proj', None), ledger))\n"
        "    health(example_store(), ledger)\n"
        "    ledger.close()\n"
        "print('celery' in sys.modules, 'kombu' in sys.modules)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "False False\n"
