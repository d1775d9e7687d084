"""The limit of failed logins, in the class and over HTTP."""

from flower.access.login_throttle import PAIR_LIMIT, LoginThrottle
from flower.http.v1.openapi_examples import example_store
from tests.helpers.web_server import WebServer


def test_throttle_does_not_lock_out_known_users() -> None:
    attempts = LoginThrottle()
    attempts.record_success("ann", "home")
    for _ in range(PAIR_LIMIT.amount):
        assert attempts.retry_after("ann", "evil") == 0
        attempts.record_failure("ann", "evil")
    assert 0 < attempts.retry_after("ann", "evil") <= 301
    assert attempts.retry_after("ann", "home") == attempts.retry_after("bob", "evil") == 0
    for number in range(300):
        attempts.record_failure("ann", f"far away {number}")
        attempts.record_failure(f"user {number}", "home")
    assert attempts.retry_after("ann", "elsewhere") > 0
    assert attempts.retry_after("bob", "home") > 0
    assert attempts.retry_after("ann", "home") == 0


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
