"""A client of a running Bellflower that acts on the tasks of a live worker over `/api/v1`."""

import sys
from pathlib import Path
from typing import Any

import httpx

from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for


class ExtendedWorker(Worker):
    """A worker with `result_extended`: its result backend stores the arguments."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SHOP_EXTENDED": "1"}


class ProductClient(Product):
    def __init__(self, cluster: Cluster, *options: str, db: Path | None = None, recorder: bool = True) -> None:
        super().__init__(cluster.app.conf.broker_url, *options, db=db)
        self.cluster = cluster
        self.recorder_too = recorder

    def command(self) -> list[str]:
        if self.recorder_too:
            return super().command()
        return [
            sys.executable, "-m", "flower", "web", "--app=tests.helpers.celery_app", f"--port={self.port}",
            f"--db={self.db}", *self.options,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SHOP_BACKEND": self.cluster.app.conf.result_backend}

    def post(self, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        answer = self.http.post(f"/api/v1/{path}", json=body) if body is not None else self.http.post(f"/api/v1/{path}")
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def look(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self.http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, path: str, body: Any = None, status: int = 400) -> dict[str, Any]:
        found: dict[str, Any] = self.post(path, body, status)["error"]
        return found

    def state(self, task_id: str) -> str | None:
        answer = self.http.get(f"/api/v1/tasks/{task_id}")
        return str(answer.json()["state"]) if answer.status_code == 200 else None

    def wait_for_state(self, task_id: str, *states: str) -> None:
        wait_for(f"{task_id} in {states}", lambda: self.state(task_id) in states)

    def sent(self, name: str, *args: Any, until: str = "SUCCESS", **options: Any) -> str:
        """Send a task with Celery, and wait until Bellflower has recorded it in the state `until`."""
        task_id = str(self.cluster.app.send_task(name, args=args, **options).id)
        self.wait_for_state(task_id, until)
        return task_id

    def result(self, task_id: str) -> Any:
        return self.cluster.app.AsyncResult(task_id).get(timeout=30)

    def wait_until_ended(self, job_id: str, timeout: float = 90) -> dict[str, Any]:
        def ended() -> bool:
            try:
                return self.look(f"jobs/{job_id}")["state"] != "running"
            except httpx.TransportError:
                return False

        wait_for(f"the end of job {job_id}", ended, timeout)
        return self.look(f"jobs/{job_id}")
