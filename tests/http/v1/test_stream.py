"""The event stream on a real store that is written to at the same time."""

import socket
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from flower.access import PERMISSIONS
from flower.access.api_tokens import create_token
from flower.access.sessions import SESSION_COOKIE
from flower.api.format_task import with_format_task
from flower.config import Config
from flower.http.v1 import stream as live_module
from flower.live import MAX_SUBSCRIBERS, MAX_SUBSCRIBERS_PER_CLIENT, Subscription, hub
from flower.records import Gap, Task, Worker
from flower.store.factory import open_reader
from flower.store.protocols import Batch, Reader, TaskChange, Writer
from flower.web.server import SHUTDOWN_TIMEOUT, create_server
from tests.helpers.api_v1 import error
from tests.helpers.servers import wait_for
from tests.helpers.sse_client import StreamReader
from tests.helpers.web_server import WebServer


def task(number: int, **fields: Any) -> Task:
    now = time.time()
    return Task(uuid=f"task-{number}", **{"name": "shop.charge", "received": now, "timestamp": now, **fields})


def change(writer: Writer, tasks: Sequence[Task], **fields: Any) -> None:
    """Change fields of the tasks."""
    stored = writer.load([each.uuid for each in tasks])
    changed = [
        TaskChange(result.key, result.task, replace(result.task, **fields))
        for result in stored.values()
        if result.key is not None
    ]
    writer.write(Batch(changed=changed))


def test_task_changes(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, columns="name,state", topics="tasks") as listener:
        hello = listener.wait("start")
        assert abs(hello.data["opened_at"] - time.time()) < 60
        assert hello.id == str(hello.data["sequence"])
        writer.write(Batch(new=[task(1)]))
        data = listener.wait("tasks")
        assert data.data == {
            "sequence": hello.data["sequence"] + 1,
            "tasks": [{"uuid": "task-1", "name": "shop.charge", "state": "PENDING"}],
            "removed": [],
            "more": 0,
            "changed": 1,
            "omitted": 0,
        }
        assert data.id == str(data.data["sequence"])
        change(writer, [task(1)], state="SUCCESS")
        assert listener.wait("tasks", 2).data["tasks"][0]["state"] == "SUCCESS"
        assert {event.name for event in listener.events} == {"start", "tasks"}


def test_rows_equal_those_of_the_list(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, topics="tasks", columns="all") as listener:
        listener.wait("start")
        hostile = task(1, name="<script>\r\n\ndata: x\n\n", args="('\u202e\u2028',)", kwargs="{'a': 1}")
        writer.write(Batch(new=[hostile]))
        row = listener.wait("tasks").data["tasks"][0]
    listed = live.http.get("/api/v1/tasks", params={"query": "uuid:task-1", "columns": "all"}).json()["tasks"]
    assert [row] == listed
    assert row["name"] == hostile.name


def test_removed_tasks(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, query="state:PENDING", topics="tasks") as listener:
        listener.wait("start")
        tasks = [task(1), task(2), task(3, state="FAILURE")]
        writer.write(Batch(new=tasks))
        data = listener.wait("tasks").data
        assert {row["uuid"] for row in data["tasks"]} == {"task-1", "task-2"}
        assert data["removed"] == ["task-3"]
        change(writer, [tasks[0]], state="SUCCESS")
        data = listener.wait("tasks", 2).data
        assert (data["tasks"], data["removed"], data["changed"]) == ([], ["task-1"], 1)
        assert set(listener.tasks()) == {"task-2"}


def test_window_moves_with_time(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, start="-1h", end="now", topics="tasks") as listener:
        listener.wait("start")
        writer.write(Batch(new=[task(1, received=time.time() - 7200), task(2), task(3, received=time.time() + 7200)]))
        data = listener.wait("tasks").data
        # received after the stream began, and within its window all the same
        assert [row["uuid"] for row in data["tasks"]] == ["task-2"]
        assert set(data["removed"]) == {"task-1", "task-3"}


def test_maximum_number_of_rows(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, columns="name", topics="tasks") as listener:
        listener.wait("start")
        writer.write(Batch(new=[task(number, timestamp=1000.0 + number) for number in range(450)]))
        data = listener.wait("tasks").data
    assert [row["uuid"] for row in data["tasks"]] == [f"task-{number}" for number in range(449, 249, -1)]
    assert (data["more"], data["changed"], data["omitted"], data["removed"]) == (250, 450, 0, [])


def test_maximum_size_of_a_message(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, columns="result", topics="tasks") as listener:
        listener.wait("start")
        writer.write(Batch(new=[task(number, result="x" * 400_000) for number in range(10)]))
        data = listener.wait("tasks").data
    assert len(data["tasks"]) == 2
    assert data["more"] == 8


def test_text_limit(live: WebServer, writer: Writer) -> None:
    with (
        StreamReader(live.http, columns="result", topics="tasks", text_limit=10) as short,
        StreamReader(live.http, columns="result", topics="tasks") as whole,
    ):
        short.wait("start")
        whole.wait("start")
        writer.write(Batch(new=[task(number, result="x" * 400_000) for number in range(3)]))
        assert [row["result"] for row in short.wait("tasks").data["tasks"]] == ["xxxxxxxxxx…"] * 3
        assert len(whole.wait("tasks").data["tasks"][0]["result"]) == 400_000


def test_omitted_and_reset(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, columns="name", topics="tasks") as listener:
        listener.wait("start")
        writer.write(Batch(new=[task(number) for number in range(5_000)]))
        data = listener.wait("tasks").data
        assert (data["changed"], data["omitted"], len(data["tasks"]), data["more"]) == (5_000, 4_500, 200, 300)
        writer.write(Batch(new=[task(10_000 + number) for number in range(21_000)]))
        reset = listener.wait("reset")
        assert "21,000" in reset.data["reason"]
        writer.write(Batch(new=[task(9_999)]))
        assert [row["uuid"] for row in listener.wait("tasks", 2).data["tasks"]] == ["task-9999"]


def test_workers_and_status(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, topics="workers,status") as listener:
        first = listener.wait("workers").data["workers"]
        assert [worker["name"] for worker in first] == ["celery@w1", "celery@w2"]
        assert first == live.http.get("/api/v1/workers").json()["workers"]
        writer.write(Batch(workers=[Worker("celery@w3", heartbeat=time.time())]))
        (third,) = listener.wait("workers", 2).data["workers"]
        assert (third["name"], third["alive"]) == ("celery@w3", True)
        # No event marks the missing heartbeat: it is a matter of time.
        assert [worker["alive"] for worker in listener.wait("workers", 3).data["workers"]] == [False]
        assert listener.wait("status").data.keys() == live.http.get("/api/v1/status").json().keys()
        count = len(listener.named("status"))
        writer.write(Batch(gaps=[Gap(100.0, None, "broker unreachable")]))
        wait_for(
            "the gap",
            lambda: any(e.data["gaps"][-1]["ended_at"] is None for e in listener.named("status")[count:]),
        )
        listener.wait("status", count + 3)
        assert not listener.named("tasks")


def test_reconnect(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, topics="tasks") as listener:
        start = listener.wait("start").data["sequence"]
        writer.write(Batch(new=[task(1)]))
        listener.wait("tasks")
    for number in range(2, 5):
        writer.write(Batch(new=[task(number)]))
    change(writer, [task(2)], state="FAILURE")
    with StreamReader(live.http, topics="tasks", last=listener.last_id, after=start) as again:
        assert again.wait("start").data["sequence"] == start + 1
        data = again.wait("tasks").data
        assert {row["uuid"]: row["state"] for row in data["tasks"]} == {
            "task-2": "FAILURE", "task-3": "PENDING", "task-4": "PENDING",
        }  # fmt: skip
        assert data["sequence"] == start + 5
    with StreamReader(live.http, topics="tasks", after=start + 4) as by_parameter:
        assert by_parameter.wait("tasks").data["changed"] == 1


def test_position_before_the_change_log(live: WebServer, writer: Writer) -> None:
    with StreamReader(live.http, topics="tasks", after=10**9) as listener:
        reset = listener.wait("reset")
        assert reset.data["reason"]
        writer.write(Batch(new=[task(1)]))
        assert listener.wait("tasks").data["sequence"] == reset.data["sequence"] + 1


@pytest.mark.parametrize(
    ("parameters", "position"),
    [({"query": "state:"}, 0), ({"query": "a OR"}, 4), ({"columns": "nothing"}, None), ({"start": "soon"}, None),
     ({"topics": "weather"}, None), ({"after": "-1"}, None), ({"duration": "x"}, None), ({"limit": "3"}, None)],
)  # fmt: skip
def test_invalid_parameters_are_rejected_before_the_stream_starts(
    live: WebServer, parameters: dict[str, Any], position: int | None
) -> None:
    assert ("position" in error(live.http, "stream", **parameters)) is (position is not None)


@pytest.mark.parametrize("last", ["x", "-1", "9" * 400, "1.5", "\u00b2".encode("latin-1").decode("latin-1")])
def test_invalid_last_event_id(live: WebServer, last: str) -> None:
    response = live.http.get("/api/v1/stream", headers={b"Last-Event-ID": last.encode("latin-1")})
    assert response.status_code == 400
    assert "Last-Event-ID" in response.json()["error"]["message"]


def test_response_is_not_cached_or_buffered(live: WebServer) -> None:
    for method in ("HEAD", "GET"):
        with live.http.stream(method, "/api/v1/stream?duration=0", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            assert "etag" not in response.headers
            assert "content-encoding" not in response.headers
            text = response.read().decode()
    assert text.startswith("retry: 2000\n\nevent: start\n")
    assert "event: end" in text


def test_comments_keep_the_connection_open(live: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "COMMENT_INTERVAL", 0.1)
    with StreamReader(live.http, topics="tasks") as listener:
        wait_for("comments", lambda: listener.comments >= 3)
        assert listener.last_id == str(listener.wait("start").data["sequence"])


def test_no_polling_without_subscribers(live: WebServer) -> None:
    with StreamReader(live.http), StreamReader(live.http, topics="tasks") as listener:
        listener.wait("start")
        wait_for("both", lambda: len(live.context.live) == 2)
    wait_for("nobody", lambda: len(live.context.live) == 0)
    assert live.context.live._poll_task is None


def test_maximum_number_of_streams(live: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_SUBSCRIBERS >= 100
    monkeypatch.setattr(hub, "MAX_SUBSCRIBERS", 2)
    with StreamReader(live.http) as one, StreamReader(live.http) as two:
        one.wait("start"), two.wait("start")
        result = error(live.http, "stream", 503)
        assert live.http.get("/api/v1/stream").headers["retry-after"] == "10"
        assert result["code"] == "backend_unavailable"
        assert "maximum 2" in result["message"]


def open_stream(server: WebServer, source: str = "127.0.0.1", **headers: str) -> tuple[socket.socket, int]:
    """A stream on a connection of its own from this address, and the status of the response."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30, source_address=(source, 0))
    lines = ["GET /api/v1/stream HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {text}" for name, text in headers.items())]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    return client, int(client.recv(12, socket.MSG_WAITALL).split()[1])


def fill_streams(server: WebServer, opened: ExitStack, source: str = "127.0.0.1", **headers: str) -> None:
    """Open the maximum number of streams of one client."""
    for _ in range(MAX_SUBSCRIBERS_PER_CLIENT):
        client, status = open_stream(server, source, **headers)
        opened.callback(client.close)
        assert status == 200


def test_one_address_cannot_hold_all_streams(live: WebServer) -> None:
    assert MAX_SUBSCRIBERS_PER_CLIENT <= MAX_SUBSCRIBERS / 5
    with ExitStack() as opened:
        fill_streams(live, opened)
        response = live.http.get("/api/v1/stream")
        assert (response.status_code, response.headers["retry-after"]) == (429, "10")
        result = response.json()["error"]
        assert result["code"] == "too_many_requests"
        assert result["message"] == "Too many open streams of one user or address (maximum 100)"
        assert result["hint"]
        other, status = open_stream(live, "127.0.0.2", **{"X-Forwarded-For": "127.0.0.1"})
        assert status == 200
        other.close()
    wait_for("the end of the streams", lambda: len(live.context.live) == 0)
    with StreamReader(live.http) as again:
        again.wait("start")


def test_streams_are_limited_by_user_if_there_is_a_login(store: Reader, opened: None) -> None:
    ann = {"Authorization": "Basic " + b64encode(b"ann:a").decode()}
    bob = {"Authorization": "Basic " + b64encode(b"bob:b").decode()}
    with WebServer(store, basic_auth=("ann:a", "bob:b")) as server, ExitStack() as streams:
        fill_streams(server, streams, **ann)
        for source, user, expected in (("127.0.0.2", ann, 429), ("127.0.0.1", bob, 200)):
            client, status = open_stream(server, source, **user)
            streams.callback(client.close)
            assert status == expected


def test_address_of_a_stream_behind_a_proxy(store: Reader, opened: None) -> None:
    """The last address is that which the proxy added; the client can forge those before it."""
    with WebServer(store, xheaders=True) as server, ExitStack() as streams:
        fill_streams(server, streams, **{"X-Forwarded-For": "203.0.113.1"})
        for addresses, expected in (("203.0.113.2, 203.0.113.1", 429), ("203.0.113.1, 203.0.113.2", 200)):
            client, status = open_stream(server, **{"X-Forwarded-For": addresses})
            streams.callback(client.close)
            assert status == expected


def test_server_stops(store: Reader, opened: None) -> None:
    with WebServer(store) as live, StreamReader(live.http) as listener:
        listener.wait("start")
        live.context.live.close("the server stops")
        assert listener.wait("end").data == {"reason": "the server stops"}
        wait_for("the end", lambda: listener.over)
        # who comes back too early is sent away in good order, so that it tries again
        with StreamReader(live.http) as early:
            assert early.wait("end").data == {"reason": "the server stops"}


@pytest.fixture
def locked(store: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    monkeypatch.setattr(live_module, "AUTH_CHECK_INTERVAL", 0.2)
    with WebServer(store, basic_auth=("ann:secret",)) as server:
        yield server


def test_login_is_required(locked: WebServer) -> None:
    assert locked.http.get("/api/v1/stream").status_code == 401
    locked.http.auth = httpx.BasicAuth("ann", "secret")
    with StreamReader(locked.http) as listener:
        listener.wait("status", 2)
        assert not listener.named("end")


def test_revoked_token_ends_the_stream(locked: WebServer, writer: Writer) -> None:
    tokens = locked.ledger.tokens
    token, text = create_token(
        tokens, name="page", owner="ann", auth_method="basic", permissions=["view"], allowed=PERMISSIONS, lifetime=None
    )
    locked.http.headers["Authorization"] = f"Bearer {text}"
    with StreamReader(locked.http, topics="tasks") as listener:
        listener.wait("start")
        writer.write(Batch(new=[task(1)]))
        listener.wait("tasks")
        tokens.revoke(token.id, time.time(), "ann")
        assert "session has expired" in listener.wait("end").data["reason"]
        wait_for("the end", lambda: listener.over)
        writer.write(Batch(new=[task(2)]))
    assert set(listener.tasks()) == {"task-1"}
    assert locked.http.get("/api/v1/stream").status_code == 401


def test_expired_session_ends_the_stream(locked: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = locked.access.sessions
    assert sessions is not None
    locked.http.headers["Cookie"] = f"{SESSION_COOKIE}={sessions.start('ann', 'password')}"
    with StreamReader(locked.http, topics="tasks") as listener:
        listener.wait("start")
        monkeypatch.setattr("flower.access.sessions.SESSION_MAX_AGE", -1)
        assert "session has expired" in listener.wait("end").data["reason"]


def asleep(live: WebServer, writer: Writer) -> tuple[socket.socket, Subscription, int]:
    """A client whose socket buffer is full, and the number of tasks that were written until then. The last writes are
    neither in the socket nor in memory: the position of the subscription does not advance."""
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    sleeper.connect(("127.0.0.1", live.port))
    sleeper.sendall(b"GET /api/v1/stream?topics=tasks&columns=name,result HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sleeper.recv(12) == b"HTTP/1.1 200"
    wait_for("it to be there", lambda: len(live.context.live) == 1)
    (subscription,) = live.context.live._subscriptions
    with StreamReader(live.http, topics="tasks", columns="name") as other:
        other.wait("start")
        stuck, written = -1, 0
        while stuck != subscription.position or other.named("tasks")[-1].data["sequence"] == stuck:
            stuck = subscription.position
            writer.write(Batch(new=[task(written + number, result="x" * 90_000) for number in range(10)]))
            written += 10
            other.wait("tasks", written // 10)
    return sleeper, subscription, written


def test_slow_client_receives_all_changes_later(live: WebServer, writer: Writer) -> None:
    """The server stores no messages for it, and other clients are not delayed."""
    sleeper, subscription, written = asleep(live, writer)
    stuck = subscription.position
    with StreamReader(live.http, topics="tasks", columns="name") as other:
        other.wait("start")
        for _ in range(20):
            writer.write(Batch(new=[task(written, result="short")]))
            written += 1
        wait_for("the other one", lambda: f"task-{written - 1}" in other.tasks())
        assert subscription.position == stuck
    sleeper.settimeout(30)
    received = b""
    while f'"task-{written - 1}"'.encode() not in received:
        received += sleeper.recv(1 << 16)
    sleeper.close()
    assert subscription.position > stuck


def test_slow_client_does_not_delay_the_shutdown(live: WebServer, writer: Writer) -> None:
    settings = create_server(live.server.config.app, Config(), live.connections).config  # type: ignore[arg-type]
    assert settings.timeout_graceful_shutdown == SHUTDOWN_TIMEOUT
    live.server.config.timeout_graceful_shutdown = 1
    sleeper, _, _ = asleep(live, writer)
    live.context.live.close("the server stops")
    live.server.should_exit = True
    wait_for("the server to end", lambda: not live.thread.is_alive())
    sleeper.close()


def test_format_task(tmp_path: Path, writer: Writer, opened: None) -> None:
    def marked(shown: Any) -> Any:
        shown.name = f"[{shown.name}]"
        return shown

    reader = open_reader(tmp_path / "store")
    with (
        WebServer(with_format_task(reader, marked), unformatted_store=reader) as live,
        StreamReader(live.http, topics="tasks", columns="name", query="name:shop.charge") as listener,
    ):
        listener.wait("start")
        writer.write(Batch(new=[task(1)]))
        assert listener.wait("tasks").data["tasks"] == [{"uuid": "task-1", "name": "[shop.charge]"}]
    reader.close()


def test_many_streams_with_different_queries(live: WebServer, writer: Writer) -> None:
    queries = ["", "", "state:FAILURE", "state:SUCCESS", "name:mail", "ORD-3", "runtime:>1s", "is:slow", "-state:FAILURE", "uuid:task-7"]  # fmt: skip  # noqa: E501
    listeners = [StreamReader(live.http, topics="tasks", query=query, columns="name,state,args") for query in queries]
    try:
        for listener in listeners:
            listener.__enter__()
        for listener in listeners:
            listener.wait("start")
        for number in range(0, 200, 10):
            writer.write(
                Batch(
                    new=[
                        task(
                            each,
                            name="shop.mail" if each % 3 else "shop.charge",
                            state="FAILURE" if each % 7 == 0 else "SUCCESS",
                            args=f"('ORD-{each}',)",
                            runtime=each / 50,
                        )
                        for each in range(number, number + 10)
                    ]
                )
            )
        for query, listener in zip(queries, listeners, strict=True):
            wait_for(
                "all changes",
                lambda listener=listener: sum(e.data["changed"] for e in listener.named("tasks")) == 200,  # type: ignore[misc]
            )
            result = live.http.get(
                "/api/v1/tasks", params={"query": f"({query}) uuid:task-" if query else "uuid:task-", "limit": 1000}
            ).json()["tasks"]
            if query != "is:slow":  # its thresholds are those of half a minute ago
                assert set(listener.tasks()) == {row["uuid"] for row in result}, query
    finally:
        for listener in listeners:
            listener.__exit__(None, None, None)
