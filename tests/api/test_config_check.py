"""Which settings of Celery are on: from records, from what workers said, from the application; never guessed."""

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
from tests.helpers.web_server import Live, no_app

EVENTS, SENT, STARTED, EXTENDED = (setting.name for setting in SETTING_RULES)


def states(context: Context) -> dict[str, str]:
    return {item.setting: item.state for item in check_config(context).checks}


class Rig:
    def __init__(self, folder: Path) -> None:
        store = MemoryStore()
        self.writer, self.reader = MemoryWriter(store), MemoryReader(store)
        self.ledger = open_ledger(folder)
        self.now = time.time()

    def context(self, app: Any = no_app, **confs: dict[str, Any]) -> Context:
        """Live workers, and what they said of their settings."""
        inspections = InspectionCache()
        inspections.store_replies(None, {"conf": confs}, self.now)
        self.writer.write(Batch(workers=[Worker(name, heartbeat=self.now, freq=60.0) for name in confs]))
        return Context(self.reader, app, self.ledger, inspections=inspections)

    def tasks(self, count: int, **times: float) -> None:
        given = {name: self.now - ago for name, ago in times.items()}
        newest = max(given.values())
        self.writer.write(Batch(new=[Task(f"{count}-{n}", **given, timestamp=newest) for n in range(count)]))


@pytest.fixture
def rig(tmp_path: Path) -> Any:
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


def test_nothing_is_known_of_nothing(rig: Rig) -> None:
    found = check_config(rig.context())
    assert [item.state for item in found.checks] == ["unknown"] * 4
    assert (found.events_seen, found.workers_seen) == (False, False)
    assert found.checks[0].instructions == "app.conf.worker_send_task_events = True"


def test_events_tell_of_themselves(rig: Rig) -> None:
    rig.tasks(3, received=60.0)
    found = states(rig.context())
    assert (found[EVENTS], found[SENT]) == ("on", "off")
    rig.tasks(2, received=60.0, sent=61.0)
    assert states(rig.context())[SENT] == "on"
    said = check_config(rig.context()).checks[1].source
    assert said == "Of 5 tasks within the last hour, 2 were seen being sent."


def test_what_was_long_ago_says_nothing_of_now(rig: Rig) -> None:
    rig.tasks(3, received=4_000.0, sent=4_001.0)
    found = states(rig.context())
    assert (found[EVENTS], found[SENT]) == ("unknown", "unknown")


def test_tasks_that_were_only_sent(rig: Rig) -> None:
    rig.tasks(1, sent=5.0)
    found = states(rig.context())
    assert (found[EVENTS], found[SENT]) == ("unknown", "on")


def test_workers_say_what_is_set(rig: Rig) -> None:
    on = {"result_extended": True, "CELERY_TRACK_STARTED": True, "task_send_sent_event": False}
    found = states(rig.context(w1=on))
    assert found == {EVENTS: "unknown", SENT: "off", STARTED: "on", EXTENDED: "on"}
    found = states(rig.context(w1=on, w2={}))
    assert (found[STARTED], found[EXTENDED]) == ("off", "off")
    said = check_config(rig.context(w1=on, w2={})).checks[3].source
    assert said == "w2 said that it is not set (1 of 2 workers)."


def test_a_worker_that_runs_tasks_and_tells_of_none(rig: Rig) -> None:
    rig.writer.write(Batch(workers=[Worker("w1", heartbeat=rig.now, freq=60.0, processed=9)]))
    [first, *_] = check_config(Context(rig.reader, no_app, rig.ledger)).checks
    assert (first.state, first.source) == ("off", "w1 has run tasks, and no event tells of any.")


def test_the_application_is_looked_at_only_if_it_is_loaded_and_the_users(rig: Rig) -> None:
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


def test_records_count_before_settings(rig: Rig) -> None:
    rig.tasks(1, received=1.0)
    known = collect_check_input(rig.reader, {"w1": {}}, dict.fromkeys((EVENTS, SENT), True), rig.now)
    assert known == CheckInput(received_tasks=1, worker_configs={"w1": {}}, app_config={EVENTS: True, SENT: True})
    found = states(rig.context(w1={"task_send_sent_event": True}))
    assert (found[EVENTS], found[SENT]) == ("on", "off")


def test_over_http(opened: None) -> None:
    with Live(example_store()) as server:
        found = server.http.get("/api/v1/checklist").json()
    assert [item["setting"] for item in found["items"]] == [EVENTS, SENT, STARTED, EXTENDED]
    assert (found["events_seen"], found["workers_seen"]) == (True, True)


def test_celery_is_not_imported_for_it() -> None:
    program = (
        "import sys, tempfile\n"
        "from flower.api.checklist import checklist\n"
        "from flower.api.context import Context\n"
        "from flower.api.health import health\n"
        "from flower.api.v1.examples import example_store\n"
        "from flower.celery_app import named\n"
        "from flower.store.opening import open_ledger\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    ledger = open_ledger(folder)\n"
        "    checklist(Context(example_store(), named('proj', None), ledger))\n"
        "    health(example_store(), ledger)\n"
        "    ledger.close()\n"
        "print('celery' in sys.modules, 'kombu' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
