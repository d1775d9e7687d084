"""Routes of workflows: the list, and the tree of one workflow."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api import queries
from flower.api.workflow_tree import WorkflowTree
from flower.http.v1.params import ColumnParam, QueryParams, TaskParams
from flower.http.v1.route import RequestContext, Route
from flower.http.v1.task_rows import TaskRow, task_rows
from flower.store.query_results import Workflow


class TaskWorkflowParams(TaskParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number of tasks in the tree.")] = 1_000


class WorkflowListParams(QueryParams, frozen=True, kw_only=True):
    columns: Annotated[
        tuple[ColumnParam, ...],
        Meta(
            description="Members of each root task in `root`, or `all`. Default: no `root`.", examples=["args,worker"]
        ),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Workflows per page.", examples=[2])] = 50
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page.")] = ""


class WorkflowRow(msgspec.Struct, frozen=True):
    """A root task with the progress of its workflow. `task_count` includes the root; `finished_count` tasks are in a
    final state, `failed_count` of them in FAILURE, and `running_count` are running. `duration` is the time from
    `started_at`, when the first task was sent, to `last_event_at`, the newest event of any task. `root` has the
    requested columns."""

    uuid: str
    name: str | None
    state: str
    task_count: int
    finished_count: int
    failed_count: int
    running_count: int
    started_at: float | None
    last_event_at: float | None
    duration: float | None
    root: TaskRow | UnsetType = UNSET


class WorkflowList(msgspec.Struct, frozen=True):
    """Newest root first."""

    workflows: tuple[WorkflowRow, ...]
    next_cursor: str | None = None
    partial: str | None = None


def list_workflows(ctx: RequestContext, params: WorkflowListParams, body: None) -> WorkflowList:
    page = queries.workflow_page(
        ctx.store, params.query, limit=params.limit, cursor=params.cursor or None, **params.window()
    )
    roots: tuple[TaskRow | UnsetType, ...] = (UNSET,) * len(page.workflows)
    if params.columns:
        roots = task_rows(ctx.store, [workflow.root for workflow in page.workflows], params.columns)
    return WorkflowList(tuple(map(_workflow_row, page.workflows, roots)), page.cursor, page.partial)


def _workflow_row(workflow: Workflow, root: TaskRow | UnsetType) -> WorkflowRow:
    started_at, last_event_at = workflow.started_at, workflow.last_event_at
    return WorkflowRow(
        uuid=workflow.root.uuid,
        name=workflow.root.name,
        state=workflow.root.state,
        task_count=workflow.tasks,
        finished_count=workflow.finished,
        failed_count=workflow.failed,
        running_count=workflow.running,
        started_at=started_at,
        last_event_at=last_event_at,
        duration=None if started_at is None or last_event_at is None else last_event_at - started_at,
        root=root,
    )


def get_task_workflow(ctx: RequestContext, params: TaskWorkflowParams, body: None) -> WorkflowTree:
    return queries.related_tasks(ctx.store, params.uuid, limit=params.limit)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/workflows", "listWorkflows", "workflows", "List workflows with their progress, newest first",
        list_workflows, params=WorkflowListParams, response=WorkflowList, example="workflows?limit=2",
    ),
    Route(
        "GET", "/tasks/{uuid:path}/workflow", "getTaskWorkflow", "workflows",
        "Get the workflow of a task as a tree with times", get_task_workflow,
        params=TaskWorkflowParams, response=WorkflowTree, example="tasks/order-17/workflow",
    ),
)  # fmt: skip
