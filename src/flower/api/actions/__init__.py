"""Actions on tasks: re-run, run, revoke, terminate, abort; single and in bulk. The HTTP API and the command line call
the same functions.

    models         results of actions, and `ActionContext`, the dependencies of all actions
    rerun          re-run a task, run a registered task
    rerun_source   arguments and routing of the task to re-run
    workflow_membership  which tasks belong to a workflow, whose later steps a re-run does not send
    stop           revoke, terminate, abort
    task_registry  registered tasks with their signatures
    bulk_plan      dry run and creation of bulk jobs
    bulk_runner    background loop of a web server that claims and executes jobs
    bulk_worker    executes one claimed job
    bulk_actions   the action of a job on each of its tasks
    bulk_recovery  outcome of the items that were in progress when their server stopped
    bulk_report    export of the results of a job
"""  # fmt: skip

from flower.api.actions.bulk_plan import Selection, plan_job, start_job
from flower.api.actions.bulk_runner import finish_job
from flower.api.actions.models import ActionContext
from flower.api.actions.rerun import rerun_task, run_task
from flower.api.actions.stop import abort_task, revoke_task, terminate_task
from flower.api.actions.task_registry import registered_tasks

__all__ = [
    "ActionContext",
    "Selection",
    "abort_task",
    "finish_job",
    "plan_job",
    "registered_tasks",
    "rerun_task",
    "revoke_task",
    "run_task",
    "start_job",
    "terminate_task",
]
