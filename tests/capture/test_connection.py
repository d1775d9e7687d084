"""Error messages, masked URLs, retry delays and picklable settings of broker connections."""

import itertools
import pickle
import socket
from pathlib import Path

import pytest
from celery import Celery

from flower.capture.connection import backoff_delays, describe_error, mask_url
from flower.capture.factory import app_from_settings
from flower.capture.settings import accepted_serializers, settings_from_app


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://:s3cret@host:1/0", "redis://:**@host:1/0"),
        ("amqp://user:s3cret@host//", "amqp://user:**@host//"),
        ("amqp://user:s3/cr@et@host//", "amqp://user:**@host//"),
        ("amqp://u:s3cret@a//;amqp://u:s3cret@b//", "amqp://u:**@a//;amqp://u:**@b//"),
        (["amqp://u:s3cret@a//", "amqp://b//"], "amqp://u:**@a//;amqp://b//"),
        ("rediss://h/0?password=s3cret", "rediss://h/0?…"),
        ("user:s3cret@host", "**@host"),
        (None, ""),
    ],
)
def test_passwords_are_masked(url: object, shown: str) -> None:
    assert mask_url(url) == shown


def test_errors_are_described() -> None:
    url = "redis://:s3cret@h/0"
    assert describe_error(ConnectionRefusedError(111, "Connection refused"), url).startswith("connection refused")
    denied = RuntimeError("ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused for user 'u'")
    assert "no permission" in describe_error(denied, url)
    assert describe_error(socket.gaierror(-2, "Name or service not known"), url).startswith("host not found")
    assert "s3cret" not in describe_error(ValueError("port could not be cast: 's3cret'"), url)
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = TimeoutError("timed out")
    assert describe_error(wrapped, url).startswith("connection timed out")


def test_retry_delays_grow_up_to_a_maximum() -> None:
    waits = list(itertools.islice(backoff_delays(), 50))
    assert 0.7 < waits[0] <= 1
    assert all(22 < wait <= 30 for wait in waits[6:])


def test_settings_can_be_pickled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("x", broker="redis://:s3cret@host:7/3", set_as_current=False)
    app.conf.update(
        event_exchange="other", broker_transport_options={"global_keyprefix": "p:"}, accept_content=["json", "yaml"],
        event_queue_prefix="ev", control_exchange="ctl", broker_failover_strategy=lambda urls: iter([*urls]),
    )  # fmt: skip
    settings = settings_from_app(app, queue_name="n", spill_folder=tmp_path, prefetch=7)
    assert "s3cret" not in repr(settings)
    assert "broker_failover_strategy" in caplog.text
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    built = app_from_settings(again)
    assert built.conf.broker_read_url == "redis://:s3cret@host:7/3"
    assert (built.conf.event_exchange, built.conf.event_queue_prefix, built.conf.control_exchange) == (
        "other",
        "ev",
        "ctl",
    )
    assert built.conf.broker_transport_options == {"global_keyprefix": "p:"}
    assert accepted_serializers(again) == {"json", "yaml"}
    assert "pickle" not in accepted_serializers(again)
