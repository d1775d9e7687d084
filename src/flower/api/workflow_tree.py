"""The tree of one workflow: from the tasks with the same root, by the parent that each task names, to a list in display
order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from flower.api.columns import LostRow, to_lost_row
from flower.records import FINAL_STATES, Task
from flower.store.query_results import TaskFamily

#: Reasons for which a task is placed below the root although it does not name it as its parent.
NO_PARENT: Final = "names no parent"
UNKNOWN_PARENT: Final = "its parent is not recorded"
PARENT_CYCLE: Final = "its parents form a cycle"


class WorkflowNode(msgspec.Struct, frozen=True):
    """A task in the tree. Times are epoch seconds, durations seconds, null if unknown.

    `parent` is the task above it in this tree; `orphan_reason` is set if that is not the parent that the task names.
    `started_at`: when it was sent (else received, else started); `offset`: seconds since `started_at` of the root;
    `ended_at`: when it finished. Times are corrected by the measured clock offsets; `offset` can be negative if clocks
    differ by less. `lost`: why no source proves the state. A root that is not recorded has `recorded` false and only
    its id."""

    uuid: str
    depth: int
    parent: str | None
    name: str | None = None
    state: str | None = None
    worker: str | None = None
    started_at: float | None = None
    offset: float | None = None
    wait: float | None = None
    runtime: float | None = None
    ended_at: float | None = None
    child_count: int = 0
    orphan_reason: str | None = None
    recorded: bool = True
    lost: LostRow | None = None


class WorkflowTree(msgspec.Struct, frozen=True):
    """All tasks of the workflow of `task`. `nodes` is the tree in depth-first order, `depth` is 0 for the root. (It is
    a list because a chain of a thousand tasks would be nested a thousand levels deep.) `parent`, `children` and
    `siblings` are those of `task`. `started_at` and `ended_at` are the earliest and latest known times; `partial` is
    set if the workflow has more tasks than were requested, or if a part of the store is damaged."""

    task: str
    root_id: str
    parent: str | None
    children: tuple[str, ...]
    siblings: tuple[str, ...]
    started_at: float | None
    ended_at: float | None
    states: dict[str, int]
    nodes: tuple[WorkflowNode, ...]
    partial: str | None = None


def build_workflow_tree(family: TaskFamily, uuid: str) -> WorkflowTree:
    tasks = {task.uuid: task for task in family.tasks}
    root = tasks.get(family.root_id)
    children, orphans = _link_parents(family, tasks)
    beginning = _start_time(root) if root is not None else _earliest(map(_start_time, family.tasks))
    nodes = _flatten(family.root_id, tasks, children, orphans, beginning)
    own = next((node for node in nodes if node.uuid == uuid), None)
    parent = own.parent if own is not None and own.orphan_reason is None else None
    siblings = [] if parent is None else [other for other in children.get(parent, ()) if other != uuid]
    return WorkflowTree(
        task=uuid,
        root_id=family.root_id,
        parent=parent,
        children=tuple(child for child in children.get(uuid, ()) if child not in orphans),
        siblings=tuple(other for other in siblings if other not in orphans),
        started_at=_earliest(map(_start_time, family.tasks)),
        ended_at=max((end for end in map(_end_time, family.tasks) if end is not None), default=None),
        states=dict(Counter(task.state for task in family.tasks).most_common()),
        nodes=tuple(nodes),
        partial=family.partial if family.complete else f"The workflow has more than {len(family.tasks):,} tasks",
    )


def _link_parents(family: TaskFamily, tasks: Mapping[str, Task]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The children of each task, and the reasons for the children of the root that do not name it. In the result, every
    task is reachable from the root by exactly one path."""
    root = family.root_id
    children: dict[str, list[str]] = {}
    orphans: dict[str, str] = {}
    for task in family.tasks:
        if task.uuid == root:
            continue
        parent = task.parent_id
        if parent != root and (parent is None or parent not in tasks):
            orphans[task.uuid] = NO_PARENT if parent is None else UNKNOWN_PARENT
            parent = root
        children.setdefault(parent or root, []).append(task.uuid)
    reachable = _find_reachable(root, children)
    for uuid, task in tasks.items():
        if uuid not in reachable and uuid != root:  # in a cycle, or below one: the cycle is cut here
            children[task.parent_id or root].remove(uuid)
            children.setdefault(root, []).append(uuid)
            orphans[uuid] = PARENT_CYCLE
            reachable |= _find_reachable(uuid, children)
    for uuids in children.values():
        uuids.sort(key=lambda child: _start_time(tasks[child]) or 0.0)
    return children, orphans


def _find_reachable(root: str, children: Mapping[str, Sequence[str]]) -> set[str]:
    reachable = {root}
    stack = [root]
    while stack:
        for child in children.get(stack.pop(), ()):
            if child not in reachable:
                reachable.add(child)
                stack.append(child)
    return reachable


def _flatten(
    root: str,
    tasks: Mapping[str, Task],
    children: Mapping[str, Sequence[str]],
    orphans: Mapping[str, str],
    beginning: float | None,
) -> list[WorkflowNode]:
    """The nodes in depth-first order."""
    nodes: list[WorkflowNode] = []
    stack: list[tuple[str, str | None, int]] = [(root, None, 0)]
    while stack:
        uuid, parent, depth = stack.pop()
        below = children.get(uuid, ())
        nodes.append(_build_node(uuid, tasks.get(uuid), parent, depth, len(below), orphans.get(uuid), beginning))
        stack += [(child, uuid, depth + 1) for child in reversed(below)]
    return nodes


def _build_node(
    uuid: str,
    task: Task | None,
    parent: str | None,
    depth: int,
    child_count: int,
    orphan_reason: str | None,
    beginning: float | None,
) -> WorkflowNode:
    if task is None:
        return WorkflowNode(uuid, depth, parent, child_count=child_count, recorded=False)
    start = _start_time(task)
    return WorkflowNode(
        uuid=uuid,
        depth=depth,
        parent=parent,
        name=task.name,
        state=task.state,
        worker=task.hostname,
        started_at=start,
        offset=None if start is None or beginning is None else start - beginning,
        wait=task.wait,
        runtime=task.runtime,
        ended_at=_end_time(task),
        child_count=child_count,
        orphan_reason=orphan_reason,
        lost=to_lost_row(task.lost),
    )


def _start_time(task: Task) -> float | None:
    if task.sent is not None:
        return task.sent - (task.client_offset or 0.0)
    time = task.received if task.received is not None else task.started
    return None if time is None else time - (task.clock_offset or 0.0)


def _end_time(task: Task) -> float | None:
    if task.state not in FINAL_STATES:
        return None
    ends = (attempt.ended - (attempt.clock_offset or 0.0) for attempt in task.attempts if attempt.ended is not None)
    return max(ends, default=None)


def _earliest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)
