"""`flower status`."""

import json
import time

from flower.records import Gap, Worker
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.cli.conftest import RunCommand
from tests.helpers.sample_store import NOW


def recording_store(**report: object) -> MemoryReader:
    store = MemoryStore()
    writer = MemoryWriter(store)
    writer.write(Batch(workers=[Worker("celery@w1", heartbeat=NOW, freq=1e6)]))
    capture = {"connected": True, **report.pop("capture", {})}  # type: ignore[dict-item]
    writer.set_status(
        {
            "at": NOW + 4, "since": NOW - 600, "running": True, "events": 1234, "events_per_second": 12.5,
            "last_event": NOW + 3, "current_at": NOW + 4, "capture": capture, **report,
        }
    )  # fmt: skip
    return MemoryReader(store)


def test_a_store_without_recorder_shows_how_to_start_one(run_command: RunCommand) -> None:
    lines = run_command("status").stdout.splitlines()
    assert lines[0].startswith("Recorder     no recorder has written to this store yet: start `celery -A proj flower`")
    assert "Store        34 tasks" in "\n".join(lines)
    assert run_command("status").exit_code == 0


def test_a_recorder_is_shown_with_the_cost_of_reconciliation(run_command: RunCommand) -> None:
    reconcile = {
        "last_pass_at": NOW, "passes": 12, "seconds": 0.5, "worker_requests": 24, "broker_requests": 7, "checked": 40,
        "corrected": 3, "lost": 1,
    }  # fmt: skip
    text = run_command("status", store=recording_store(reconcile=reconcile)).stdout
    assert "Recorder     recording, running for 10m05s, 1,234 events, 12.5/s, last event 2s ago" in text
    assert "Broker       connected" in text
    assert "Reconcile    last pass 5s ago, 500ms for 12 passes, 24 requests to workers, 7 requests to broker" in text
    assert "40 examined, 3 corrected, 1 lost" in text


def test_an_unreachable_broker_is_shown_with_the_reason(run_command: RunCommand) -> None:
    capture = {"connected": False, "last_error": "connection refused (redis://127.0.0.1:1/0)"}
    text = run_command("status", store=recording_store(capture=capture)).stdout
    assert "Recorder     running, without a connection to the broker" in text
    assert "Broker       unreachable: connection refused" in text


def test_a_stopped_recorder_is_shown_with_the_time_of_its_last_report(run_command: RunCommand) -> None:
    text = run_command("status", store=recording_store(at=NOW - 300)).stdout
    assert "Recorder     stopped, last report 5m05s ago" in text
    assert "Broker       unknown: no recorder is running" in text


def test_gaps_are_counted(run_command: RunCommand) -> None:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(gaps=[Gap(NOW - 60, None, "the broker is unreachable", "broker_unreachable")]))
    text = run_command("status", "--utc", store=MemoryReader(store)).stdout
    assert "1 not dismissed; latest since" in text
    assert "the broker is unreachable" in text


def test_json_is_the_document_of_the_api(run_command: RunCommand) -> None:
    document = json.loads(run_command("status", "--json").stdout)
    assert document["store"]["task_count"] == 34
    assert document["recorder"]["state"] == "unknown"
    assert time.time() == NOW + 5
