"""`flower health`."""

import json

from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.cli.conftest import RunCommand
from tests.cli.test_status import recording_store
from tests.helpers.sample_store import NOW, failed


def test_no_issue_is_status_0(run_command: RunCommand) -> None:
    result = run_command("health", store=recording_store())
    assert (result.exit_code, result.stdout) == (0, "ok       All systems normal\n")


def test_warnings_are_status_1_with_severity_and_command(run_command: RunCommand) -> None:
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=[failed(0)]))
    result = run_command("health", store=MemoryReader(store))
    assert result.exit_code == 1
    assert "warning  New failure: CardDeclined" in result.stdout
    assert "         → flower failures --group " in result.stdout


def test_critical_issues_are_status_3(run_command: RunCommand) -> None:
    result = run_command("health", store=recording_store(at=NOW - 300))
    assert result.exit_code == 3
    assert "critical Recording stopped" in result.stdout
    assert "         → flower status" in result.stdout


def test_a_store_without_data_is_status_1_with_the_next_step(run_command: RunCommand) -> None:
    result = run_command("health", store=MemoryReader(MemoryStore()))
    assert result.exit_code == 1
    assert "unknown  No recorder has written to this store yet" in result.stdout
    assert "Start the recorder: celery -A proj flower" in result.stdout


def test_exit_zero_is_status_0_with_issues(run_command: RunCommand) -> None:
    result = run_command("health", "--exit-zero", "--json", store=recording_store(at=NOW - 300))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "critical"
