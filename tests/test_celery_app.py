"""The monitored application: loading it in threads, and which broker it uses."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from celery import Celery

from flower.celery_app import LazyApp
from flower.errors import BackendUnavailable

APPLICATION = """
import os
from celery import Celery

app = Celery("proj", broker="memory://application", set_as_current=False)
app.conf.broker_read_url = os.environ.get("OWN_READ_URL")
app.conf.broker_write_url = os.environ.get("OWN_READ_URL")
read_at_import = os.environ.get("CELERY_BROKER_URL")
"""

PROGRAM = """
import sys
from flower.celery_app import lazy_app

app = lazy_app(sys.argv[1] or None, sys.argv[2])()
urls = [app.conf.broker_url, app.conf.broker_read_url, app.conf.broker_write_url]
hosts = [connection().hostname for connection in (app.connection, app.connection_for_read, app.connection_for_write)]
print({url.rstrip("/") for url in urls}, set(hosts))
"""


@pytest.mark.parametrize("name", ["proj", ""])
@pytest.mark.parametrize(
    "variables",
    [
        {"CELERY_BROKER_URL": "memory://environment"},
        {"CELERY_BROKER_READ_URL": "memory://environment", "CELERY_BROKER_WRITE_URL": "memory://environment"},
        {"OWN_READ_URL": "memory://own"},
    ],
)
def test_broker_of_the_command_line_overrides_environment_and_application(
    name: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "proj.py").write_text(APPLICATION)
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, "memory://line"],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60, env={**os.environ, **variables},
    )  # fmt: skip
    assert finished.stdout.strip() == "{'memory://line'} {'line'}"


def test_application_reads_the_broker_of_the_command_line_at_import(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(APPLICATION)
    program = "from flower.celery_app import lazy_app; lazy_app('proj', 'memory://line')(); import proj; "
    finished = subprocess.run(
        [sys.executable, "-c", program + "print(proj.read_at_import)"],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60,
        env={**os.environ, "CELERY_BROKER_URL": "memory://environment"},
    )  # fmt: skip
    assert finished.stdout.strip() == "memory://line"


class Slow:
    """Loads an application once the test permits it."""

    def __init__(self) -> None:
        self.permitted = threading.Event()
        self.calls = 0

    def __call__(self) -> Celery:
        self.calls += 1
        assert self.permitted.wait(20)
        return Celery("slow", set_as_current=False)


def test_concurrent_calls_load_the_application_once() -> None:
    slow, loaded = Slow(), []
    app = LazyApp(slow)
    app.after_load = lambda: loaded.append(threading.current_thread().daemon)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(app) for _ in range(4)]
        assert app.loaded_app is None
        slow.permitted.set()
        assert len({id(call.result()) for call in calls}) == 1
    assert (slow.calls, loaded) == (1, [True])
    assert app.loaded_app is app()


def test_abandoned_import_does_not_block_its_callers() -> None:
    slow = Slow()
    app = LazyApp(slow)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(app)
        app.abandon()
        with pytest.raises(BackendUnavailable, match="the server stops"):
            call.result(10)
    with pytest.raises(BackendUnavailable):
        app()
    slow.permitted.set()


def test_abandoning_keeps_a_loaded_application() -> None:
    app = LazyApp(lambda: Celery("quick", set_as_current=False))
    loaded = app()
    app.abandon()
    assert app() is loaded


def test_failed_import_is_tried_again() -> None:
    results = iter([ValueError("first"), Celery("second", set_as_current=False)])

    def load() -> Celery:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    app = LazyApp(load)
    with pytest.raises(ValueError, match="first"):
        app()
    assert app().main == "second"
