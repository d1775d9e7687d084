"""Check of the result backend: it is read as the server reads it."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from flower import cluster
from flower.api.health.remedies import RESULT_BACKEND_REMEDY
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome, Skipped
from flower.errors import FlowerError
from flower.redaction import mask_url

_TASK_ID = "bellflower-doctor"


def check_result_backend(examination: Examination) -> Iterable[Outcome]:
    """Read a result that does not exist."""
    app = examination.app
    if not cluster.results.has_backend(app):
        raise Skipped("none is configured: the outcome of tasks whose events were missed is unknown")
    name = mask_url(app.conf.result_backend) or type(app.backend).__name__
    if cluster.results.result_pool(app) == "rpc":
        raise Skipped("results of rpc:// can be read by the sender of a task only")
    started_at = time.monotonic()
    try:
        with cluster.connection.translate_broker_errors():
            app.backend.get_task_meta(_TASK_ID)
    except FlowerError as error:
        return [Outcome("error", f"{name}: {error.message}", RESULT_BACKEND_REMEDY)]
    return [
        Outcome("ok", f"{name}: readable, {(time.monotonic() - started_at) * 1000:.0f} ms"),
        *_settings_findings(app),
    ]


def _settings_findings(app: Any) -> Iterator[Outcome]:
    if not app.conf.result_extended:
        found = "result_extended is off: results contain no name, arguments, worker and queue"
        action = "Set result_extended = True, so that a task whose events were missed is found with these."
        yield Outcome("ok", found, action)
