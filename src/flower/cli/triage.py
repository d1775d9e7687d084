"""`flower resolve`, `flower mute` and `flower reopen`: decisions about failure groups."""

import time
from collections.abc import Callable
from typing import Any

import click

from flower.api.failures import FailureState, reopen_failure_group, set_failure_status
from flower.cli.action_base import current_user
from flower.cli.base import CommandContext, load_store_config, query_command
from flower.cli.failure_ids import find_group
from flower.cli.formatting import parse_duration_option
from flower.cli.table import echo_stderr
from flower.errors import FlowerError, Forbidden

_comment_option = click.option("--comment", default="", metavar="TEXT", help="Reason, for example a ticket.")


@query_command("resolve")
@click.argument("groups", nargs=-1, required=True, metavar="GROUP…")
@_comment_option
def resolve(ctx: CommandContext, *, groups: tuple[str, ...], comment: str) -> None:
    """Mark failure groups as resolved. A group that fails again becomes `regressed`.

    GROUP is the id that `flower failures` shows; its first characters are sufficient."""
    _decide(
        ctx, "failure.resolve", groups,
        lambda group: set_failure_status(
            ctx.store, ctx.ledger, group, "resolved", by=current_user(), comment=comment
        ),
    )  # fmt: skip


@query_command("mute")
@click.argument("groups", nargs=-1, required=True, metavar="GROUP…")
@click.option("--for", "duration", callback=parse_duration_option, metavar="DURATION", help="Mute for 12h or 7d only.")
@_comment_option
def mute(ctx: CommandContext, *, groups: tuple[str, ...], duration: float | None, comment: str) -> None:
    """Mute failure groups: they cause no health issue.

    GROUP is the id that `flower failures` shows; its first characters are sufficient."""
    expires_at = None if duration is None else time.time() + duration
    _decide(
        ctx, "failure.mute", groups,
        lambda group: set_failure_status(
            ctx.store, ctx.ledger, group, "muted", by=current_user(), expires_at=expires_at, comment=comment
        ),
    )  # fmt: skip


@query_command("reopen")
@click.argument("groups", nargs=-1, required=True, metavar="GROUP…")
def reopen(ctx: CommandContext, *, groups: tuple[str, ...]) -> None:
    """Remove the decision about failure groups: they are neither resolved nor muted."""
    _decide(ctx, "failure.reopen", groups, lambda group: reopen_failure_group(ctx.store, ctx.ledger, group))


def _decide(ctx: CommandContext, action: str, groups: tuple[str, ...], apply: Callable[[str], FailureState]) -> None:
    """Apply a decision to each group, and write it to the audit log first."""
    params: dict[str, Any] = click.get_current_context().params
    if load_store_config(params.get("db"), params.get("conf")).read_only:
        raise Forbidden("Read only mode is enabled")
    targets = [find_group(ctx.store, ctx.ledger, group) for group in groups]
    entry = ctx.ledger.audit.add(action, user=current_user(), auth_method="cli", outcome="in_progress", targets=targets)
    try:
        for group in targets:
            echo_stderr(f"{group}: {apply(group).status}")
    except FlowerError as error:
        ctx.ledger.audit.finish(entry, "failed", error.message)
        raise
    ctx.ledger.audit.finish(entry, "done")
