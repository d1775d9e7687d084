"""Bellflower as users start it: `celery flower` in its own process group, with an HTTP client."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.helpers.paths import ROOT
from tests.helpers.servers import Server, wait_for


class Product(Server):
    name = "product"

    def __init__(self, broker: str, *options: str, db: Path | None = None) -> None:
        super().__init__()
        self.broker = broker
        self.db = db or self.folder / "store"
        self.options = options
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "celery", "-A", "tests.helpers.celery_app", "flower",
            f"--port={self.port}", f"--db={self.db}", *self.options,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SHOP_BROKER": self.broker,
            "PYTHONPATH": str(ROOT),
            "FLOWER_UNAUTHENTICATED_API": "true",
        }

    def ready(self) -> bool:
        try:
            return self.http.get("/healthcheck").text == "OK"
        except httpx.TransportError:
            return False

    def recorder(self) -> psutil.Process | None:
        """The recorder process, if it is running."""
        assert self.process is not None
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return next((child for child in children if "flower.recorder_process" in child.cmdline()), None)

    def status(self) -> dict[str, Any]:
        """The last status that the recorder wrote to the store."""
        from flower.store.factory import open_reader

        reader = open_reader(self.db)
        try:
            return dict(reader.recorder_status())
        finally:
            reader.close()

    def wait_until_capturing(self) -> None:
        def capturing() -> bool:
            status, recorder = self.status(), self.recorder()
            return bool(recorder and status.get("pid") == recorder.pid and status.get("capture", {}).get("connected"))

        wait_for("capture", capturing)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def task(self, uuid: str) -> dict[str, Any] | None:
        answer = self.http.get(f"/api/task/info/{uuid}")
        if answer.status_code == 404:
            return None
        return dict(answer.json())

    def states(self) -> dict[str, str]:
        """The states of all tasks by id, over HTTP."""
        return {uuid: task["state"] for uuid, task in self.get("/api/tasks").items()}

    def kill(self) -> None:
        """Send SIGKILL to all processes at once."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.wait(20)
        self.http.close()
        self.http = httpx.Client(base_url=self.http.base_url, timeout=30)
