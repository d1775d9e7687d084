"""Pages of jobs and of their items."""

import httpx

from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.jobs import Job
from tests.helpers.api_v1 import error, get
from tests.helpers.web_server import WebServer


def add_job(live: WebServer, job_id: str, created_at: float, tasks: int) -> None:
    job = Job(id=job_id, action="revoke", state="running", created_by="ann", created_at=created_at, rate=1.0, total=0)
    assert live.ledger.jobs.create(job, [(f"task-{number}", None) for number in range(tasks)], limit=100)


def test_pages_of_jobs_and_items(opened: None) -> None:
    with WebServer(example_store()) as live:
        for number in range(5):
            add_job(live, f"job-{number}", 1_000.0 + number, tasks=5)
        jobs, cursor = [], ""
        while cursor is not None:
            page = get(live.http, "jobs", limit=2, cursor=cursor)
            jobs += [job["id"] for job in page["jobs"]]
            cursor = page["next_cursor"]
        assert jobs == ["job-4", "job-3", "job-2", "job-1", "job-0"]
        items, cursor = [], ""
        while cursor is not None:
            page = get(live.http, "jobs/job-0/items", limit=2, cursor=cursor)
            items += [item["index"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert items == [0, 1, 2, 3, 4]
        assert get(live.http, "jobs/job-0/items", outcome="done")["items"] == []
        assert error(live.http, "jobs/job-0/items", cursor="x")["message"] == "Invalid cursor 'x'"


def test_stop(opened: None) -> None:
    with WebServer(example_store()) as live:
        add_job(live, "job", 1_000.0, tasks=1)
        stopped: httpx.Response = live.http.post("/api/v1/jobs/job/stop")
        assert (stopped.status_code, stopped.json()["stopping"]) == (200, True)
        assert error(live.http, "jobs/nothing", 404)["message"] == "Unknown job 'nothing'"
