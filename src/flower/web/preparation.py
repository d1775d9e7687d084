"""Prepares the process for requests, after the start."""

import gc
import logging
from collections.abc import Callable
from typing import Final

from flower.api.context import Context
from flower.errors import FlowerError
from flower.search.tree import EVERYTHING
from flower.store.protocols import Query, Reader, Sort
from flower.web.assets import current_assets
from flower.web.rendering import load_templates

log = logging.getLogger(__name__)

#: Sort keys for which a store reads something of every segment once, and caches it.
_PREPARED_KEYS: Final = ("name", "state", "worker", "queue", "sent", "wait", "ended")


def prepare_requests(context: Context, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Build what the first requests need, and exclude all objects that exist now from garbage collection. Called in a
    thread when Celery and the application are imported: their modules are most of these objects. A full collection
    that examines them pauses all requests for about 100 ms, and thousands of connections cause one every few
    seconds."""
    current_assets(context)
    load_templates()
    gc.freeze()
    prepare_sorting(context.recorded_reader, is_stopping)


def prepare_sorting(reader: Reader, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Read the first task by each key. With ten million tasks, the first request by name takes 0.1 s otherwise."""
    for key in _PREPARED_KEYS:
        if is_stopping():
            return
        try:
            reader.task_page(Query(EVERYTHING, (Sort(key),)), limit=1)
        except FlowerError as error:
            log.debug("Cannot prepare sorting by %s: %s", key, error)
