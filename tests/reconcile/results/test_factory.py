"""Which source reads which result backend."""

import time
from pathlib import Path

import pytest
from celery import Celery

from flower.reconcile.connections import create_app
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.results import MonitoredResults, TimeWindow, create_result_source
from flower.recorder_settings import reconcile_settings
from flower.redaction import Redactor, Rules


def source_of(backend: str | None) -> MonitoredResults | None:
    app = Celery("shop", broker="memory://", backend=backend, set_as_current=False)
    return create_result_source(create_app(reconcile_settings(app, Rules())), Redactor(), ReconcileCost())


@pytest.mark.parametrize("backend", [None, "disabled://", "rpc://"])
def test_a_backend_that_no_other_process_can_read_is_none(backend: str | None) -> None:
    assert source_of(backend) is None


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("no-such-backend://", "No module named 'no-such-backend'"),
        ("django-db", "DJANGO_SETTINGS_MODULE is not set"),
    ],
)
def test_a_backend_that_cannot_be_loaded_fails_with_the_reason(backend: str, reason: str) -> None:
    source = source_of(backend)
    assert source is not None
    before = time.time()
    source.check()
    assert source.failure is not None
    assert reason in source.failure
    assert source.failed_at is not None
    assert source.failed_at >= before
    assert source.error is not None
    with pytest.raises(type(source.error)):
        list(source.search(TimeWindow(0, 1), bool, bool))


def test_the_source_is_that_of_the_backend(tmp_path: Path) -> None:
    kinds = {
        "redis://127.0.0.1:1/0": "RedisResults",
        f"db+sqlite:///{tmp_path}/r.db": "SqlAlchemyResults",
        f"file://{tmp_path}": "SingleResults",
    }
    assert {url: type(source_of(url)._source).__name__ for url in kinds} == kinds  # type: ignore[union-attr]


def test_entries_of_another_backend_are_read_one_by_one(tmp_path: Path) -> None:
    app = Celery("shop", broker="memory://", backend=f"file://{tmp_path}", set_as_current=False)
    app.backend.store_result("a", {"total": 3}, "SUCCESS")
    source = source_of(f"file://{tmp_path}")
    assert source is not None
    found = source.fetch(["a", "b"])
    assert found.keys() == {"a"}
    assert found["a"].result == "{'total': 3}"
