from flower.api.actions.bulk_plan import Selection, plan_job
from flower.api.actions.workflow_membership import count_workflow_members, find_workflow_root
from flower.records import Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch

ALONE = Task(uuid="alone", name="shop.add", state="FAILURE", args="()", kwargs="{}", root_id="alone")
ROOT = Task(uuid="root", name="shop.order", state="SUCCESS", args="()", kwargs="{}", root_id="root")
STEP = Task(uuid="step", name="shop.pack", state="FAILURE", args="()", kwargs="{}", root_id="root", parent_id="root")
#: its arguments are incomplete, so that it is not re-run
TRUNCATED = Task(uuid="cut", name="shop.pack", state="FAILURE", args="(1, ...)", kwargs="{}", root_id="root")


def store() -> MemoryReader:
    data = MemoryStore()
    MemoryWriter(data).write(Batch(new=[ALONE, ROOT, STEP, TRUNCATED]))
    return MemoryReader(data)


def test_the_root_of_a_workflow_is_found_from_each_of_its_tasks() -> None:
    reader = store()
    assert [find_workflow_root(reader, task) for task in (ALONE, ROOT, STEP)] == [None, "root", "root"]
    assert count_workflow_members(reader, [ALONE, ROOT, STEP]) == 2


def test_a_dry_run_counts_tasks_whose_later_steps_are_not_sent_again() -> None:
    plan = plan_job(store(), "rerun", Selection(query="state:FAILURE"), limit=100, rate=100)
    assert (plan.count, plan.workflow_task_count) == (3, 1)
    assert plan_job(store(), "revoke", Selection(query=""), limit=100, rate=100).workflow_task_count == 0
