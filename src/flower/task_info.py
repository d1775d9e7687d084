"""The documented dict of a task (`flower.utils.tasks.TaskInfo`), and the dicts in it."""

from typing import Any, TypedDict


class WorkerInfo(TypedDict):
    hostname: str | None
    pid: int | None
    sw_ident: str | None
    sw_ver: str | None
    sw_sys: str | None


class LostInfo(TypedDict):
    """The mark of a task whose state no source proves, in the documented dict."""

    since: float
    reason: str
    detail: str
    queried: list[str]


class TaskInfo(TypedDict, total=False):
    """The documented dict of a task, as `iter_tasks` returns it."""

    uuid: str
    name: str | None
    state: str
    hostname: str | None
    timestamp: float | None
    sent: float | None
    received: float | None
    started: float | None
    succeeded: float | None
    failed: float | None
    retried: float | None
    revoked: float | None
    rejected: float | None
    runtime: float | None
    args: "list[Any] | str | None"
    kwargs: "dict[str, Any] | str | None"
    retries: int | None
    eta: str | None
    expires: str | None
    result: Any
    traceback: str | None
    exception: str | None
    queue: str | None
    exchange: str | None
    routing_key: str | None
    priority: int | None
    worker: WorkerInfo | None
    clock: int | None
    client: str | None
    root_id: str | None
    parent_id: str | None
    children: list[str]
    attempts: list[dict[str, Any]]
    data: dict[str, dict[str, Any]]
    lost: LostInfo | None
    source: str | None
    run: int | None
    clock_offset: float | None
    client_offset: float | None
    queue_wait: float | None
