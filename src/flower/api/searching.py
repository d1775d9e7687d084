"""The documented search functions where they have to know what is running."""

from collections.abc import Iterable, Mapping

from flower.current import get_current_events
from flower.errors import NotFound
from flower.search.match import TaskLike, needs_slow_thresholds
from flower.search.terms import satisfies_search_terms as satisfies
from flower.search.tree import Node


def satisfies_search_terms(task: TaskLike, search_terms: Iterable[Node]) -> bool:
    """Whether all the terms hold for a task: a TaskInfo dict, a record, or a task of `celery.events.state`. `is:slow`
    compares with the tasks that the Events last started in this process know; if none run, nothing is slow."""
    terms = list(search_terms)
    return satisfies(task, terms, _get_slow_thresholds() if any(map(needs_slow_thresholds, terms)) else None)


def _get_slow_thresholds() -> Mapping[str, float] | None:
    try:
        return get_current_events().store.slow_thresholds()
    except NotFound:
        return None
