"""Parallel sign-ins over real connections: the limit of guesses, the queue of hashes, and clients that are right."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import httpx
import pytest

from flower.access.hash_queue import MAX_QUEUED, MAX_QUEUED_PER_ADDRESS
from flower.access.login_throttle import PAIR_LIMIT, LoginThrottle
from flower.access.passwords import hash_password
from flower.http.v1.openapi_examples import example_store
from tests.helpers.web_server import WebServer

_REQUEST = b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic %b\r\n\r\n"

ANN, BOB = ("ann", "right"), ("bob", "secret")


@pytest.fixture
def hashed() -> Iterator[WebServer]:
    with WebServer(example_store(), basic_auth=tuple(f"{n}:{hash_password(p)}" for n, p in (ANN, BOB))) as live:
        yield live


@pytest.fixture
def plain() -> Iterator[WebServer]:
    with WebServer(example_store(), basic_auth=("ann:right", "bob:secret")) as live:
        yield live


async def send_at_once(
    live: WebServer, credentials: Sequence[tuple[str, str]], addresses: Sequence[str] = ("127.0.0.1",)
) -> list[httpx.Response]:
    """Open a connection for each login first, then send all requests at once. The addresses are used in turn."""
    connections = [
        await asyncio.open_connection("127.0.0.1", live.port, local_addr=(addresses[number % len(addresses)], 0))
        for number in range(len(credentials))
    ]
    for (_, writer), pair in zip(connections, credentials, strict=True):
        encoded = base64.b64encode(":".join(pair).encode())
        writer.write(
            b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic %b\r\n\r\n" % encoded
        )
    received = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return [_parse_head(each) for each in received]


def _parse_head(received: bytes) -> httpx.Response:
    status, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers)


def statuses(responses: Sequence[httpx.Response]) -> Counter[int]:
    return Counter(each.status_code for each in responses)


def test_parallel_guesses_do_not_pass_the_limit(plain: WebServer) -> None:
    guesses = [("bob", f"guess {number}") for number in range(200)]
    responses = asyncio.run(send_at_once(plain, [*guesses[:199], BOB]))
    assert statuses(responses) == {401: PAIR_LIMIT.amount, 429: 190}
    assert all(int(each.headers["retry-after"]) > 0 for each in responses if each.status_code == 429)
    # from another address the limit of the user remains
    assert statuses(asyncio.run(send_at_once(plain, guesses, ["127.0.0.9"]))) == {401: PAIR_LIMIT.amount, 429: 190}


def test_parallel_guesses_of_hashed_passwords_wait_in_a_short_queue(hashed: WebServer) -> None:
    guesses = [("bob", f"guess {number}") for number in range(200)]
    started = time.monotonic()
    responses = asyncio.run(send_at_once(hashed, guesses))
    assert statuses(responses) == {401: MAX_QUEUED_PER_ADDRESS, 429: 200 - MAX_QUEUED_PER_ADDRESS}
    assert time.monotonic() - started < 20
    # what was not checked is not counted as a failure
    assert hashed.http.get("/api/v1/me", auth=BOB).status_code == 200


def test_hash_queue_is_bounded_for_all_addresses(hashed: WebServer) -> None:
    addresses = [f"127.0.1.{number}" for number in range(1, 41)]
    guesses = [(f"user {number}", "x") for number in range(200)]
    counts = statuses(asyncio.run(send_at_once(hashed, guesses, addresses)))
    # hashes that end meanwhile make room for others
    assert MAX_QUEUED <= counts[401] <= MAX_QUEUED + 10
    assert counts[401] + counts[429] == 200


def test_attacker_does_not_delay_verified_clients(hashed: WebServer) -> None:
    assert hashed.http.get("/api/v1/me", auth=ANN).status_code == 200
    guesses = [(f"user {number % 50}", f"guess {number}") for number in range(300)]

    async def attack() -> tuple[list[httpx.Response], list[float]]:
        attack = asyncio.create_task(send_at_once(hashed, guesses, ["127.0.0.9", "127.0.0.10"]))
        times = []
        async with httpx.AsyncClient(base_url=hashed.http.base_url, timeout=60) as client:
            while not attack.done():
                started = time.monotonic()
                assert (await client.get("/api/v1/me", auth=ANN)).status_code == 200
                times.append(time.monotonic() - started)
                await asyncio.sleep(0.01)
        return await attack, times

    started = time.monotonic()
    responses, times = asyncio.run(attack())
    duration = time.monotonic() - started
    assert statuses(responses)[429] > 200
    # A client that waited behind the hashes would need most of this time.
    assert sorted(times)[len(times) // 2] < max(0.1, duration / 4)


def test_many_connections_with_the_right_password_are_one_attempt(hashed: WebServer) -> None:
    assert statuses(asyncio.run(send_at_once(hashed, [ANN] * 60))) == {200: 60}


def test_many_connections_with_one_wrong_password_are_one_failure(hashed: WebServer) -> None:
    assert statuses(asyncio.run(send_at_once(hashed, [("ann", "wrong")] * 60))) == {401: 60}
    assert hashed.http.get("/api/v1/me", auth=ANN).status_code == 200


def test_abandoned_attempts_leave_nothing_behind() -> None:
    throttle = LoginThrottle()
    for number in range(1000):
        throttle.start_attempt(f"user {number}", f"10.0.0.{number}")
        throttle.end_attempt(f"user {number}", f"10.0.0.{number}", "abandoned")
    assert not throttle._pending
