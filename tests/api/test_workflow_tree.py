"""The tree of a workflow with any combination of parents."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from flower.api.workflow_tree import NO_PARENT, PARENT_CYCLE, UNKNOWN_PARENT, WorkflowTree, build_workflow_tree
from flower.records import FAILURE, SUCCESS, Task
from flower.store.query_results import TaskFamily
from tests.helpers.api_v1 import get


def tree(*tasks: Task, uuid: str = "r") -> WorkflowTree:
    return build_workflow_tree(TaskFamily("r", tasks), uuid)


def shape(tree: WorkflowTree) -> list[tuple[str, int, str | None]]:
    return [(node.uuid, node.depth, node.orphan_reason) for node in tree.nodes]


def test_a_workflow() -> None:
    result = tree(
        Task("r", state=SUCCESS, sent=100.0, started=101.0, succeeded=103.0, runtime=2.0),
        Task("b", state=FAILURE, parent_id="r", received=106.0, started=106.5, failed=107.0),
        Task("a", parent_id="r", sent=104.0),
        Task("c", parent_id="a", sent=105.0, started=108.0),
        uuid="a",
    )
    assert shape(result) == [("r", 0, None), ("a", 1, None), ("c", 2, None), ("b", 1, None)]
    assert [node.offset for node in result.nodes] == [0.0, 4.0, 5.0, 6.0]
    assert [node.wait for node in result.nodes] == [1.0, None, 3.0, 0.5]
    assert [node.ended_at for node in result.nodes] == [103.0, None, None, 107.0]
    assert (result.parent, result.children, result.siblings) == ("r", ("c",), ("b",))
    assert (result.started_at, result.ended_at, result.states) == (100.0, 107.0, {"PENDING": 2, SUCCESS: 1, FAILURE: 1})


def test_orphans_are_children_of_the_root_with_a_reason() -> None:
    result = tree(Task("r"), Task("a", parent_id="gone", sent=1.0), Task("b", sent=2.0), Task("c", parent_id="b"))
    assert shape(result) == [("r", 0, None), ("a", 1, UNKNOWN_PARENT), ("b", 1, NO_PARENT), ("c", 2, None)]
    assert tree(Task("r"), Task("a", parent_id="gone"), uuid="a").parent is None


def test_a_root_that_is_not_recorded() -> None:
    result = tree(Task("a", parent_id="r", sent=5.0), Task("b", parent_id="a", sent=7.0), uuid="a")
    assert shape(result) == [("r", 0, None), ("a", 1, None), ("b", 2, None)]
    assert [node.recorded for node in result.nodes] == [False, True, True]
    assert [node.offset for node in result.nodes] == [None, 0.0, 2.0]


def test_cycles_are_cut() -> None:
    result = tree(
        Task("r", parent_id="a"), Task("a", parent_id="b"), Task("b", parent_id="a"), Task("s", parent_id="s")
    )
    assert shape(result) == [("r", 0, None), ("a", 1, PARENT_CYCLE), ("b", 2, None), ("s", 1, PARENT_CYCLE)]


def test_a_long_chain() -> None:
    chain = [Task("r"), *(Task(f"t{n}", parent_id=f"t{n - 1}" if n else "r") for n in range(5_000))]
    assert tree(*chain).nodes[-1].depth == 5_000


def test_a_tree_that_was_cut() -> None:
    cut = build_workflow_tree(TaskFamily("r", (Task("r"), Task("a", parent_id="r")), complete=False), "r")
    assert cut.partial == "The workflow has more than 2 tasks"
    assert tree(Task("r")).partial is None


names = st.sampled_from(["r", "a", "b", "c", "d", "e", "gone"])


@given(st.dictionaries(names, st.none() | names, max_size=7), names)
def test_every_task_is_in_the_tree_once(parents: dict[str, str | None], uuid: str) -> None:
    result = tree(*(Task(name, parent_id=parent) for name, parent in parents.items()), uuid=uuid)
    assert sorted(node.uuid for node in result.nodes) == sorted({*parents, "r"})
    assert result.nodes[0].uuid == "r"
    for before, node in zip(result.nodes, result.nodes[1:], strict=False):
        assert 1 <= node.depth <= before.depth + 1
    for node in result.nodes[1:]:
        assert (node.parent == parents[node.uuid]) == (node.orphan_reason is None) or node.parent == "r"


def test_workflows_newest_first(http: httpx.Client) -> None:
    page = get(http, "workflows")
    [row] = page["workflows"]
    assert (row["uuid"], row["name"], row["state"]) == ("order-17", "shop.order", "SUCCESS")
    assert (row["task_count"], row["finished_count"], row["failed_count"], row["running_count"]) == (3, 3, 0, 0)
    assert row["duration"] == row["last_event_at"] - row["started_at"]
    assert "root" not in row
    assert page["next_cursor"] is None
    [row] = get(http, "workflows", columns="args,worker", query="state:SUCCESS")["workflows"]
    assert row["root"] == {"uuid": "order-17", "args": "(17,)", "worker": "celery@w1"}
    assert get(http, "workflows", query="state:FAILURE")["workflows"] == []
