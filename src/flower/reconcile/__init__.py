"""Reconciliation: queries workers, result backend and broker about unfinished tasks, and passes evidence to the
recorder. Described in docs/reliability.md.

reconciler       the thread: triggers, passes, evidence for the recorder
examination      one examination: query the sources about some tasks, and decide
decisions        pure: what the sources answered about a task → evidence
findings         the answers of the sources, as values
request          what an examination is about
cluster_view     the workers, from the store and from their answers
positions        where the broker has each task
queue_positions  pure: which tasks are in a queue of which only the length is known
survey           reads the unfinished tasks
candidates       pure: which unfinished tasks are due for an examination
task_discovery   tasks of workers that are not recorded
worker_checks    when workers are contacted besides inspections
gap_search       tasks that ended during a gap, from the result backend
connections      the Celery application and the broker connection
rate_limit       token bucket
cost             what reconciliation costs
inspection       source: workers
broker           source: broker
results          source: result backend
"""

from flower.reconcile.reconciler import Reconciler

__all__ = ["Reconciler"]
