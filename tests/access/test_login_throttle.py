"""The limit of failed logins, in the class and over HTTP."""

from flower.access.login_throttle import ADDRESS_LIMIT, PAIR_LIMIT, LoginThrottle
from flower.http.v1.openapi_examples import example_store
from tests.helpers.web_server import WebServer


def fail(attempts: LoginThrottle, name: str, address: str) -> None:
    """A failed attempt, unless it is not allowed."""
    if not attempts.start_attempt(name, address):
        attempts.end_attempt(name, address, "failure")


def test_throttle_does_not_lock_out_known_users() -> None:
    attempts = LoginThrottle()
    attempts.record_success("ann", "home")
    for _ in range(PAIR_LIMIT.amount):
        fail(attempts, "ann", "evil")
    assert 0 < attempts.retry_after("ann", "evil") <= 301
    assert attempts.retry_after("ann", "home") == attempts.retry_after("bob", "evil") == 0
    for number in range(300):
        fail(attempts, "ann", f"far away {number}")
        fail(attempts, f"user {number}", "home")
    assert attempts.retry_after("ann", "elsewhere") > 0
    assert attempts.retry_after("bob", "home") > 0
    assert attempts.retry_after("ann", "home") == 0


def test_attempts_in_progress_count_as_failures() -> None:
    attempts = LoginThrottle()
    started = [attempts.start_attempt("ann", "evil") for _ in range(PAIR_LIMIT.amount + 5)]
    assert started == [0] * PAIR_LIMIT.amount + [2] * 5
    for _ in range(PAIR_LIMIT.amount - 1):
        attempts.end_attempt("ann", "evil", "abandoned")
    assert attempts.start_attempt("ann", "evil") == 0
    attempts.end_attempt("ann", "evil", "success")
    attempts.end_attempt("ann", "evil", "failure")
    for _ in range(PAIR_LIMIT.amount - 1):
        fail(attempts, "ann", "evil")
    assert attempts.start_attempt("ann", "evil") > 2


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    attempts = LoginThrottle()
    for number in range(ADDRESS_LIMIT.amount):
        fail(attempts, f"user {number}", f"2001:db8::{number:x}")
    assert attempts.retry_after("ann", "2001:db8::ffff") > 0
    assert attempts.retry_after("ann", "2001:db8:0:1::1") == 0


def test_too_many_failures_over_http() -> None:
    with WebServer(example_store(), basic_auth=("ann:secret", "bob:secret")) as live:
        assert live.http.get("/tasks", auth=("bob", "secret")).status_code == 200
        statuses = [
            live.http.get("/api/tasks", auth=("ann", f"guess {n}")).status_code for n in range(PAIR_LIMIT.amount)
        ]
        assert statuses == [401] * PAIR_LIMIT.amount
        response = live.http.get("/tasks", auth=("ann", "secret"))
        assert response.status_code == 429
        assert 0 < int(response.headers["retry-after"]) <= 301
        assert live.http.get("/api/v1/me", auth=("ann", "x")).json()["error"]["code"] == "too_many_requests"
        assert live.http.get("/tasks", auth=("bob", "secret")).status_code == 200
