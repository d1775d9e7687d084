"""`flower resolve`, `mute` and `reopen`, as a separate process."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from flower.store.factory import open_ledger
from flower.store.ledger.audit import AuditFilter
from tests.helpers.sample_store import on_disk, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    on_disk(tmp_path / "flower-data")
    return tmp_path


def test_decisions_about_failure_groups(folder: Path) -> None:
    groups = {line.split("\t")[0]: line.split("\t")[1] for line in run("failures", folder=folder).stdout.splitlines()}
    first, second = groups
    assert run("resolve", first[:8], "--comment", "SHOP-311", folder=folder).stderr == f"{first}: resolved\n"
    assert run("mute", second, "--for", "7d", folder=folder).stderr == f"{second}: muted\n"
    detail = json.loads(run("failures", "--group", first, "--json", folder=folder).stdout)["failure"]
    assert (detail["status"], detail["note"]["comment"]) == ("resolved", "SHOP-311")
    assert run("reopen", first, folder=folder).returncode == 0
    statuses = dict(line.split("\t")[:2] for line in run("failures", folder=folder).stdout.splitlines())
    assert statuses == {first: groups[first], second: "muted"}
    with closing(open_ledger(folder / "flower-data")) as ledger:
        entries = ledger.audit.entries(AuditFilter(), limit=9)
    assert [(entry.action, entry.outcome, entry.targets) for entry in entries] == [
        ("failure.reopen", "done", (first,)),
        ("failure.mute", "done", (second,)),
        ("failure.resolve", "done", (first,)),
    ]
    unknown = run("resolve", "0" * 16, folder=folder)
    assert (unknown.returncode, "Unknown failure group" in unknown.stderr) == (1, True)
    refused = run("mute", second, folder=folder, FLOWER_READ_ONLY="true")
    assert (refused.returncode, "Read only mode is enabled" in refused.stderr) == (3, True)
