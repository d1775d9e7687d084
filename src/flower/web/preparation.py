"""Prepares the process for requests, after the start."""

import gc

from flower.api.context import Context
from flower.web.assets import current_assets
from flower.web.rendering import load_templates


def prepare_requests(context: Context) -> None:
    """Build what the first requests need, and exclude all objects that exist now from garbage collection. Called in a
    thread when Celery and the application are imported: their modules are most of these objects. A full collection
    that examines them pauses all requests for about 100 ms, and thousands of connections cause one every few
    seconds."""
    current_assets(context)
    load_templates()
    gc.freeze()
