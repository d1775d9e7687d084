"""`flower doctor`: checks of the installation, the broker, the workers and the store."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from flower.celery_app import LazyApp, import_task_modules, lazy_app
from flower.cli.base import handle_errors
from flower.cli.global_options import apply_options, stored_options
from flower.cli.options import OptionsCommand, config_options
from flower.cli.severity import EXIT_ZERO_HELP, exit_by_severity, finding_lines
from flower.cli.table import write_output
from flower.cli.terminal import print_lines
from flower.container import is_in_container

if TYPE_CHECKING:
    from flower.doctor.models import DoctorResult

_STATUSES = ("error", "warning", "ok", "skipped")


@click.command("doctor", cls=OptionsCommand)
@config_options
@click.option("--exit-zero", is_flag=True, help=EXIT_ZERO_HELP)
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
@click.pass_context
def doctor(ctx: click.Context, /, *, exit_zero: bool, as_json: bool, **options: str | None) -> None:
    """Check configuration, broker, permissions, workers, result backend, store and versions, with what to do.

    It accepts the options of the server, connects as the server does, and changes nothing.

    Exit status: 0 all checks passed, 1 warnings, 3 errors."""
    with handle_errors(ctx):
        given = stored_options(ctx)
        apply_options(given)
        results = _run(ctx, given, options, is_quiet=as_json)
        counts = Counter[str](result.status for result in results)
        if as_json:
            document = {"status": _overall_status(counts), "checks": results}
            write_output(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n", "json")
        else:
            click.echo("Total: " + ", ".join(f"{counts[each]} {each}" for each in _STATUSES if counts[each]))
    if not exit_zero:
        exit_by_severity(has_errors=bool(counts["error"]), has_warnings=bool(counts["warning"]))


def _run(ctx: click.Context, given: Any, options: dict[str, str | None], *, is_quiet: bool) -> "Sequence[DoctorResult]":
    from flower.doctor.checks import CHECKS  # noqa: PLC0415 - imports Celery
    from flower.doctor.examination import Examination  # noqa: PLC0415 - imports Celery
    from flower.doctor.runner import run_checks  # noqa: PLC0415 - imports Celery

    examination = Examination(
        command_line={name: value for name, value in options.items() if value is not None},
        environment=os.environ,
        folder=Path.cwd(),
        load_app=_load_app(ctx, given),
        in_container=is_in_container(os.environ),
    )
    results: list[DoctorResult] = []
    for result in run_checks(CHECKS, examination):
        if not is_quiet:
            title = f"{result.check}: {result.found}"
            print_lines(finding_lines(result.status, title, action=result.action))
        results.append(result)
    return results


def _load_app(ctx: click.Context, given: Any) -> LazyApp:
    """The application that -A names, or that of the celery program for `celery flower`."""
    parents = (parent.obj for parent in (ctx, ctx.parent) if parent is not None)
    celery_app = next((obj.app for obj in parents if hasattr(obj, "app")), None)
    if celery_app is None or given.get("app"):
        return lazy_app(given.get("app"), given.get("broker"))
    return LazyApp(lambda: import_task_modules(celery_app))


def _overall_status(counts: Counter[str]) -> str:
    return next((status for status in ("error", "warning") if counts[status]), "ok")
