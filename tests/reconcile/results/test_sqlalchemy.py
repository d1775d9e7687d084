"""SQLAlchemy as result backend, with entries that Celery has written."""

import time
from pathlib import Path
from uuid import uuid4

from celery import Celery
from celery.app.task import Context

from flower.reconcile.connections import create_app
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.results import ResultSource, TimeWindow, create_result_source
from flower.recorder_settings import reconcile_settings
from flower.redaction import Redactor, Rules


def make_app(folder: Path, *, extended: bool = True) -> Celery:
    app = Celery("shop", backend=f"db+sqlite:///{folder}/results.db", set_as_current=False)
    app.conf.result_extended = extended
    return app


def source_of(app: Celery, cost: ReconcileCost | None = None) -> ResultSource:
    own_app = create_app(reconcile_settings(app, Rules()))
    source = create_result_source(own_app, Redactor(), cost or ReconcileCost())
    assert source is not None
    return source


def store(app: Celery, uuid: str, value: object, state: str = "SUCCESS") -> None:
    request = Context(
        id=uuid, task="shop.add", args=[1], kwargs={"x": 2}, hostname="celery@one", retries=0,
        delivery_info={"routing_key": "mail"},
    )  # fmt: skip
    app.backend.store_result(uuid, value, state, request=request, traceback="Traceback" if state == "FAILURE" else None)


def test_rows_are_read_by_id_in_one_query(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    good, bad, running = (str(uuid4()) for _ in range(3))
    store(app, good, {"total": 3})
    store(app, bad, ValueError("no"), "FAILURE")
    store(app, running, None, "STARTED")
    cost = ReconcileCost()
    found = source_of(app, cost).fetch([good, bad, running, *(str(uuid4()) for _ in range(900))])
    assert found.keys() == {good, bad, running}
    assert cost.backend_requests == 1
    result = found[good]
    assert (result.state, result.result, result.name, result.queue) == ("SUCCESS", "{'total': 3}", "shop.add", "mail")
    assert (result.args, result.kwargs, result.hostname) == ("(1,)", "{'x': 2}", "celery@one")
    assert result.ended is not None
    assert abs(result.ended - time.time()) < 60
    assert (found[bad].exception, found[bad].traceback) == ("ValueError('no')", "Traceback")
    assert (found[running].state, found[running].ended) == ("STARTED", None)


def test_rows_are_found_by_date(tmp_path: Path) -> None:
    app = make_app(tmp_path, extended=False)
    ids = [str(uuid4()) for _ in range(3)]
    for uuid in ids:
        store(app, uuid, 1)
    now = time.time()
    source = source_of(app)
    found = [each for batch in source.search(TimeWindow(now - 60, now + 1), ids[1:].__contains__, lambda: False)
             for each in batch]  # fmt: skip
    assert {each.uuid for each in found} == set(ids[1:])
    assert list(source.search(TimeWindow(now - 9000, now - 8000), lambda _: True, lambda: False)) in ([], [[]])


def test_a_monitor_does_not_create_tables(tmp_path: Path) -> None:
    import sqlite3

    source = source_of(make_app(tmp_path))
    assert source.fetch([str(uuid4())]) == {}
    source.close()
    with sqlite3.connect(tmp_path / "results.db") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
