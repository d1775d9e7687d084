"""The documented search functions where they have to know what is running."""

from collections.abc import Iterable, Mapping

from flower.current import current
from flower.errors import NotFound
from flower.search.match import AnyTask, uses_slow
from flower.search.terms import satisfies_search_terms as satisfies
from flower.search.tree import Node


def satisfies_search_terms(task: AnyTask, search_terms: Iterable[Node]) -> bool:
    """Whether all the terms hold for a task: a TaskInfo dict, a record, or a task of `celery.events.state`. `is:slow`
    compares with the tasks that the Events last started in this process know; if none run, nothing is slow."""
    terms = list(search_terms)
    return satisfies(task, terms, _thresholds() if any(map(uses_slow, terms)) else None)


def _thresholds() -> Mapping[str, float] | None:
    try:
        return current().store.slow()
    except NotFound:
        return None
