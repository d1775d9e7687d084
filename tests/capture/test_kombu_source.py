"""The kombu source: transports without a direct source."""

from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from flower.capture import factory
from flower.capture.decoder import Decoder
from flower.capture.kombu_source import KombuSource
from flower.capture.settings import CaptureSettings
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import RabbitMQ, Redis, wait_for

MakeRig = Callable[..., CaptureSession]


def force_kombu(app: Celery, settings: CaptureSettings, decoder: Decoder) -> KombuSource:
    return KombuSource(app, settings, decoder, "forced by the test")


def folders(tmp_path: Path) -> dict[str, str]:
    """Transport options with separate folders for writing and reading; `carry` moves complete files. Kombu creates a
    file before it writes it, and a reader that opens the file in between loses the message."""
    for name in ("in", "out", "control"):
        (tmp_path / name).mkdir(exist_ok=True)
    return {
        "data_folder_in": str(tmp_path / "in"),
        "data_folder_out": str(tmp_path / "out"),
        "control_folder": str(tmp_path / "control"),
    }


def carry(tmp_path: Path) -> None:
    for file in sorted(tmp_path.glob("out/*.msg")):
        file.rename(tmp_path / "in" / file.name)


@pytest.mark.parametrize("transport", ["memory", "filesystem"])
def test_events_arrive(transport: str, rig: MakeRig, tmp_path: Path) -> None:
    options = folders(tmp_path) if transport == "filesystem" else {}
    r = rig(f"{transport}://", broker_transport_options=options, options={"enable_events": True})
    assert transport in str(r.capture.status()["path"])
    r.send("a", "b")
    r.publish(b"nonsense")
    r.publish({"type": "task-x", "uuid": "c", "timestamp": 1, "n": 5}, serializer="json", compression="gzip")
    carry(tmp_path)
    r.until("events", lambda: r.uuids == {"a", "b", "c"})
    assert r.capture.status()["malformed"] == {"not JSON": 1}
    assert [gap.cause for gap in r.gaps] == ["unreadable_messages"]


def test_file_read_before_it_is_written_is_reported_as_a_gap(
    rig: MakeRig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    r = rig("filesystem://", broker_transport_options=folders(tmp_path))
    r.send("a")
    (unwritten,) = tmp_path.glob("out/*.msg")
    unwritten.write_bytes(b"")
    carry(tmp_path)
    wait_for("the loss", lambda: "broker unreachable" in caplog.text)
    wait_for("the return", r.connected)
    r.send("b")
    carry(tmp_path)
    r.until("the rest", lambda: r.uuids == {"b"})
    assert len(r.gaps) == 1


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_kombu_source_with_brokers_of_direct_sources(
    kind: str, rig: MakeRig, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Redis | RabbitMQ = request.getfixturevalue(f"{kind}_server")
    monkeypatch.setattr(factory, "create_source", force_kombu)
    r = rig(server.url)
    r.send(*(str(n) for n in range(200)))
    r.until("events", lambda: len(r.uuids) == 200)


def test_reconnect_makes_a_gap(rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "create_source", force_kombu)
    with Redis() as server:
        r = rig(server.url)
        server.stop()
        wait_for("the loss", lambda: not r.connected())
        server.start()
        wait_for("the return", r.connected)
        r.send("after")
        r.until("after", lambda: r.uuids == {"after"})
        r.until("a gap", lambda: len(r.gaps) == 1)
