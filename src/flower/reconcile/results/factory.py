"""Selects the source for the result backend of an application."""

import os
from datetime import UTC
from typing import Any

from celery import Celery
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend

from flower.reconcile.cost import ReconcileCost
from flower.reconcile.results.backend_monitor import MonitoredResults, UnusableResults
from flower.reconcile.results.entry_parser import ResultParser
from flower.reconcile.results.key_value import EntryDecoder, SingleResults
from flower.reconcile.results.protocol import ResultSource
from flower.redaction import Redactor


def create_result_source(app: Celery, redactor: Redactor, cost: ReconcileCost) -> MonitoredResults | None:
    """The source; None if there is no backend that can be read. Does not connect.

    Results of `rpc://` are messages to the process that sent the task: no other process can read them.
    """
    source = _create_source(app, redactor, cost)
    return None if source is None else MonitoredResults(source)


def _create_source(app: Celery, redactor: Redactor, cost: ReconcileCost) -> ResultSource | None:
    name = str(app.conf.result_backend or "")
    try:
        if name.startswith("django"):
            _set_up_django()
        backend: Any = app.backend
    except Exception as error:  # noqa: BLE001  a missing library, an unknown name, invalid settings of Django
        return UnusableResults(error) if name else None
    if isinstance(backend, DisabledBackend | RPCBackend):
        return None
    parser = ResultParser(redactor, app.timezone, is_utc=app.timezone in (UTC, None) or str(app.timezone) == "UTC")
    decoder = EntryDecoder(backend, parser)
    match _class_names(backend):
        case names if "celery.backends.redis.RedisBackend" in names:
            from flower.reconcile.results.redis import RedisResults  # noqa: PLC0415 - optional library

            return RedisResults(backend, decoder, cost)
        case names if "celery.backends.database.DatabaseBackend" in names:
            from flower.reconcile.results.sqlalchemy import SqlAlchemyResults  # noqa: PLC0415 - optional library

            return SqlAlchemyResults(backend, parser, cost)
        case names if "django_celery_results.backends.database.DatabaseBackend" in names:
            from flower.reconcile.results.django import DjangoResults  # noqa: PLC0415 - optional library

            return DjangoResults(backend, parser, cost)
        case _:
            return SingleResults(backend, decoder, parser, cost)


def _class_names(backend: object) -> set[str]:
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in type(backend).__mro__}


def _set_up_django() -> None:
    import django  # noqa: PLC0415 - optional library

    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise RuntimeError("DJANGO_SETTINGS_MODULE is not set")
    django.setup()
