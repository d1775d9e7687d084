"""The tree of a workflow, with its times, out of tasks that name their parents; whatever they name."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from flower.records import FINAL_STATES, Task
from flower.store.query_results import TaskFamily

#: Where a task hangs under the root though it does not name it as its parent.
NO_PARENT = "it names no parent"
UNKNOWN_PARENT = "its parent is not on record"
PARENT_CYCLE = "its parents go round in a circle"


class WorkflowNode(msgspec.Struct, frozen=True):
    """A task in the tree. Times are epoch seconds, durations seconds, None where events do not tell.

    `parent` is the task above it in this tree; `orphan` says why that is not the one it names. `start` is when it was
    sent (or received, or started), `offset` how long after the root's start that was (clocks differ: it may be
    negative), `end` when it ended. A root that is not on record has `known` false and no more than its id."""

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


class WorkflowTree(msgspec.Struct, frozen=True):
    """All tasks of the workflow of `task`: `nodes` is the tree in the order in which one reads it, each node before
    those below it, `depth` counting from the root's 0. (A list, for a chain of a thousand tasks would be a thousand
    brackets deep.) `parent`, `children` and `siblings` are those of `task`. `start` and `end` are the earliest and
    latest known; `whole` is False if the workflow has more tasks than were asked for."""

    task: str
    root_id: str
    parent: str | None
    children: tuple[str, ...]
    siblings: tuple[str, ...]
    started_at: float | None
    ended_at: float | None
    states: dict[str, int]
    nodes: tuple[WorkflowNode, ...]
    whole: bool = True


def build_workflow_tree(family: TaskFamily, uuid: str) -> WorkflowTree:
    tasks = {task.uuid: task for task in family.tasks}
    root = tasks.get(family.root_id)
    below, orphans = _link_parents(family, tasks)
    beginning = _start_time(root) if root is not None else _earliest(map(_start_time, family.tasks))
    nodes = _flatten(family.root_id, tasks, below, orphans, beginning)
    own = next((node for node in nodes if node.uuid == uuid), None)
    parent = own.parent if own is not None and own.orphan_reason is None else None
    siblings = [] if parent is None else [other for other in below.get(parent, ()) if other != uuid]
    return WorkflowTree(
        task=uuid,
        root_id=family.root_id,
        parent=parent,
        children=tuple(child for child in below.get(uuid, ()) if child not in orphans),
        siblings=tuple(other for other in siblings if other not in orphans),
        started_at=_earliest(map(_start_time, family.tasks)),
        ended_at=max((end for end in map(_end_time, family.tasks) if end is not None), default=None),
        states=dict(Counter(task.state for task in family.tasks).most_common()),
        nodes=tuple(nodes),
        whole=family.complete,
    )


def _link_parents(family: TaskFamily, tasks: Mapping[str, Task]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The tasks below each, and why those below the root hang there that do not name it. Everything is below the root
    after this, once."""
    root = family.root_id
    below: dict[str, list[str]] = {}
    orphans: dict[str, str] = {}
    for task in family.tasks:
        if task.uuid == root:
            continue
        parent = task.parent_id
        if parent != root and (parent is None or parent not in tasks):
            orphans[task.uuid] = NO_PARENT if parent is None else UNKNOWN_PARENT
            parent = root
        below.setdefault(parent or root, []).append(task.uuid)
    reached = _find_reachable(root, below)
    for uuid, task in tasks.items():
        if uuid not in reached and uuid != root:  # in a circle, or below one: it is cut open here
            below[task.parent_id or root].remove(uuid)
            below.setdefault(root, []).append(uuid)
            orphans[uuid] = PARENT_CYCLE
            reached |= _find_reachable(uuid, below)
    for children in below.values():
        children.sort(key=lambda child: _start_time(tasks[child]) or 0.0)
    return below, orphans


def _find_reachable(root: str, below: Mapping[str, Sequence[str]]) -> set[str]:
    seen = {root}
    waiting = [root]
    while waiting:
        for child in below.get(waiting.pop(), ()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return seen


def _flatten(
    root: str,
    tasks: Mapping[str, Task],
    below: Mapping[str, Sequence[str]],
    orphans: Mapping[str, str],
    beginning: float | None,
) -> list[WorkflowNode]:
    nodes: list[WorkflowNode] = []
    waiting: list[tuple[str, str | None, int]] = [(root, None, 0)]
    while waiting:
        uuid, parent, depth = waiting.pop()
        children = below.get(uuid, ())
        nodes.append(_build_node(uuid, tasks.get(uuid), parent, depth, len(children), orphans.get(uuid), beginning))
        waiting += [(child, uuid, depth + 1) for child in reversed(children)]
    return nodes


def _build_node(
    uuid: str,
    task: Task | None,
    parent: str | None,
    depth: int,
    children: int,
    orphan: str | None,
    beginning: float | None,
) -> WorkflowNode:
    if task is None:
        return WorkflowNode(uuid, depth, parent, child_count=children, recorded=False)
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
        child_count=children,
        orphan_reason=orphan,
    )


def _start_time(task: Task) -> float | None:
    return next((time for time in (task.sent, task.received, task.started) if time is not None), None)


def _end_time(task: Task) -> float | None:
    return task.attempts[-1].ended if task.state in FINAL_STATES else None


def _earliest(times: "map[float | None]") -> float | None:
    return min((time for time in times if time is not None), default=None)
