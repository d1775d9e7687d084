"""The documented import path of the task functions."""

from flower.api.event_types import TaskEventTypes
from flower.api.task_dict import as_dict
from flower.api.task_lists import get_task_by_id, iter_tasks, sort_keys, sort_tasks
from flower.records import TASK_STATES
from flower.task_info import TaskInfo

__all__ = [
    "TASK_STATES",
    "TaskEventTypes",
    "TaskInfo",
    "as_dict",
    "get_task_by_id",
    "iter_tasks",
    "sort_keys",
    "sort_tasks",
]
