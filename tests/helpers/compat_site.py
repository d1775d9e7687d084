"""A Flower or a Bellflower, started as a user starts it, and accessed over HTTP only."""

import os
import sys
from typing import Any, Literal

import httpx

from tests.helpers.paths import ROOT
from tests.helpers.servers import Server, wait_for

Kind = Literal["flower", "bellflower"]

#: The systems under test: `make test-compat` selects both.
KINDS: tuple[Kind, ...] = tuple(
    kind for kind in ("bellflower", "flower") if kind in os.environ.get("COMPAT_KINDS", "bellflower").split(",")
)


def python_of(kind: Kind) -> str:
    if kind == "bellflower":
        return sys.executable
    from bench.install import flower_python

    return str(flower_python())


class Site(Server):
    """`options` are command-line options, `environment` is added to the environment of this process. They are the same
    for both systems."""

    name = "site"

    def __init__(
        self, kind: Kind, broker: str, *options: str, backend: str = "", queue: str = "celery", prefix: str = "",
        environment: dict[str, str] | None = None, open_api: bool = True, program: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.kind, self.broker, self.backend, self.queue = kind, broker, backend, queue
        self.options, self.program = options, program
        self.extra = {"FLOWER_UNAUTHENTICATED_API": "true"} if open_api else {}
        if kind == "bellflower":
            self.extra["FLOWER_EVENT_DRAIN_LINGER"] = "0"
        self.extra |= environment or {}
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}{prefix}", timeout=30)

    @property
    def is_flower(self) -> bool:
        """Whether it is Flower 2.2.0. Assertions that depend on it describe deliberate differences of Bellflower."""
        return self.kind == "flower"

    def command(self) -> list[str]:
        return [
            python_of(self.kind), "-m", "celery", "-A", "tests.helpers.celery_app", "flower",
            "--address=127.0.0.1", f"--port={self.port}", *self.options,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
        return {
            **ours,
            "SHOP_BROKER": self.broker,
            "SHOP_BACKEND": self.backend,
            "SHOP_QUEUE": self.queue,
            "PYTHONPATH": str(ROOT),
            **self.extra,
        }

    def ready(self) -> bool:
        try:
            return self.http.get("/healthcheck").text == "OK"
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self.http.close()
        super().stop()

    def json(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, body: Any = None, **parameters: Any) -> httpx.Response:
        return self.http.post(path, json=body, params=parameters)

    def task(self, uuid: str) -> dict[str, Any]:
        return dict(self.json(f"/api/task/info/{uuid}"))

    def wait_for_task(self, uuid: str, **fields: Any) -> dict[str, Any]:
        """Wait until the task is known and has these fields; return it."""

        def there() -> bool:
            answer = self.http.get(f"/api/task/info/{uuid}")
            return answer.status_code == 200 and all(answer.json()[name] == value for name, value in fields.items())

        wait_for(f"task {uuid} with {fields}", there)
        return self.task(uuid)
