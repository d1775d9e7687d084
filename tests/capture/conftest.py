"""The fixture `rig`: a started capture, stopped after the test. The brokers are not shared with other tests, whose
workers would send events and take tasks."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import RabbitMQ, Redis, wait_for

_names = itertools.count()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., CaptureSession]]:
    """`rig(url, app settings…, capture options in `options`)`: started and connected."""
    started: list[Any] = []

    def make(url: str, *, options: dict[str, Any] | None = None, wait: bool = True, **conf: Any) -> CaptureSession:
        app = Celery("rig", broker=url, set_as_current=False)
        app.conf.update(conf)
        defaults = {
            "enable_events": False,
            "delete_queue_on_stop": True,
            "queue_name": f"t{next(_names)}-{time.time_ns()}",
        }
        settings = settings_from_app(app, spill_folder=tmp_path / "spill", **{**defaults, **(options or {})})
        capture = create_capture(settings)
        capture.start()
        started.append(capture)
        rig = CaptureSession(app, capture)
        if wait:
            wait_for("capture", rig.connected)
        return rig

    yield make
    for capture in started:
        capture.stop()
