"""Options of the `celery` program after `flower`: `celery flower -A proj --broker=URL`, the order of Celery 4.

Flower ignores them with a warning, and then monitors another broker than the one that is named. They are used here,
unless they contradict an option before `flower`."""

import logging
from collections.abc import Mapping
from typing import Any

import click

from flower.celery_app import LazyApp, import_task_modules, lazy_app, override_broker
from flower.cli.global_options import GLOBAL_OPTIONS
from flower.errors import InvalidRequest

log = logging.getLogger(__name__)

#: Names of parameters of the `celery` program that differ from those of the options.
_CELERY_PARAMETERS = {"celery_config": "config"}


def check_order(ctx: click.Context, given: Mapping[str, Any]) -> None:
    """Raises InvalidRequest if an option after `flower` contradicts one before it."""
    before = ctx.parent.params if ctx.parent is not None else {}
    for name, value in given.items():
        earlier = before.get(_CELERY_PARAMETERS.get(name, name))
        if earlier and str(earlier) != str(value) and value is not True:
            raise InvalidRequest(
                f"{_flag(name)} is given before and after flower with different values",
                hint="write it once, before flower: celery [celery options] flower [flower options]",
            )


def warn_order(given: Mapping[str, Any]) -> None:
    """Log that options are at the place where Celery 5 does not accept them. Their values are not logged: a broker URL
    contains a password."""
    if given:
        log.warning(
            "You have incorrectly specified the following celery arguments after flower command: %s. They are used, as "
            "in Celery 4; write celery [celery options] flower [flower options].",
            ", ".join(map(_flag, given)),
        )


def load_with_order(ctx: click.Context, given: Mapping[str, Any]) -> LazyApp:
    """The application of the celery program, or the one that is named after `flower`."""
    broker = given.get("broker")
    if given.get("app") and not (ctx.parent is not None and ctx.parent.params.get("app")):
        return lazy_app(given["app"], broker)

    def load() -> Any:
        app = ctx.obj.app
        if broker:
            override_broker(app, broker)
        return import_task_modules(app)

    return LazyApp(load)


def _flag(name: str) -> str:
    """The long flag of an option."""
    return next(option.flags[-1] for option in GLOBAL_OPTIONS if option.name == name)
