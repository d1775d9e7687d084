"""Fold: pure functions that apply one event to a record, and never raise.

tasks            events of a task: the ordinary steps, or one of the modules below
steps            the ordinary steps of a task
successful_runs  all events of a run that succeeds, at once
retries          the receipt of a retry
attempt_events   other events of workers
sent_events      `task-sent`
custom_events    custom events
attempt_limit    the maximum number of attempts
attempts         assigns facts to attempts and runs
projection       the fields of a task that follow from its attempts
event_times      times of events that leave no other trace
changes          the last step of folding an event
transitions      table of the types of events
clock_offsets    estimates of the clocks of workers and clients
evidence         states that are proven by other sources than events
workers          events and answers of a worker
"""

from flower.fold.clock_offsets import ClockOffsets
from flower.fold.evidence import fold_evidence
from flower.fold.successful_runs import RUN_TYPES, fold_successful_run
from flower.fold.tasks import fold, fold_next_step
from flower.fold.workers import fold_worker, fold_worker_answer, fold_worker_sign

__all__ = [
    "RUN_TYPES",
    "ClockOffsets",
    "fold",
    "fold_evidence",
    "fold_next_step",
    "fold_successful_run",
    "fold_worker",
    "fold_worker_answer",
    "fold_worker_sign",
]
