"""The task events of Celery: the documented table `flower.utils.tasks.TaskEventTypes`."""

from typing import TypedDict


class TaskEventType(TypedDict):
    description: str
    fields: list[str]


TaskEventTypes: dict[str, TaskEventType] = {
    "task-sent": {
        "description": "Task was sent to broker",
        "fields": ["uuid", "name", "args", "kwargs", "eta", "expires"],
    },
    "task-received": {
        "description": "Worker received task from broker",
        "fields": ["uuid", "name", "hostname", "timestamp"],
    },
    "task-started": {
        "description": "Worker started executing task",
        "fields": ["uuid", "hostname", "timestamp", "pid"],
    },
    "task-succeeded": {
        "description": "Task completed successfully",
        "fields": ["uuid", "result", "runtime", "hostname", "timestamp"],
    },
    "task-failed": {
        "description": "Task execution failed",
        "fields": ["uuid", "exception", "traceback", "hostname", "timestamp"],
    },
    "task-retried": {
        "description": "Task is being retried",
        "fields": ["uuid", "reason", "traceback", "hostname", "timestamp"],
    },
    "task-revoked": {
        "description": "Task was revoked/cancelled",
        "fields": ["uuid", "hostname", "timestamp"],
    },
}
