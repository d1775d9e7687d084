"""An administrator, an operator and a viewer, and API tokens created by them, on a server without a broker."""

from typing import Any

from flower.errors import BackendUnavailable
from tests.helpers.web_server import WebServer

USERS = ("ann:a", "olga:o", "vera:v")
ROLES = ("ann:admin", "olga:operator", "vera:viewer")
ANN, OLGA, VERA = ("ann", "a"), ("olga", "o"), ("vera", "v")


def no_broker() -> Any:
    raise BackendUnavailable("This test has no broker")


def post_token(live: WebServer, auth: tuple[str, str] = OLGA, **body: Any) -> dict[str, Any]:
    response = live.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"], **body}, auth=auth)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}
