"""`flower token`: API tokens of the store, for whoever may write to its folder."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from flower.access.api_tokens import create_token
from flower.access.permissions import PERMISSIONS, parse_permissions, parse_role_definitions
from flower.cli.action_base import LedgerCommand, current_user, ledger_options, open_store_ledger, write_audit
from flower.cli.base import exit_if_empty, format_options, selected_format
from flower.cli.formatting import parse_duration_option
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_table
from flower.config import Config
from flower.errors import InvalidRequest, NotFound
from flower.store.ledger.api_tokens import ApiToken

_TOKEN_COLUMNS = (
    TableColumn("id", drop_order=0, min_width=12),
    TableColumn("name", drop_order=0, min_width=12),
    TableColumn("owner", drop_order=2, min_width=8),
    TableColumn("permissions", drop_order=1, min_width=12),
    TableColumn("state", drop_order=0, min_width=7),
    TableColumn("expires", "time", drop_order=1, min_width=19),
    TableColumn("used", "time", drop_order=3, min_width=19),
    TableColumn("used_from", drop_order=4, min_width=10),
    TableColumn("made", "time", drop_order=5, min_width=19),
)


@click.group(help="API tokens: make, list and revoke them.")
def token() -> None:
    pass


@token.command(cls=LedgerCommand)
@click.argument("name")
@click.option("--permissions", metavar="LIST", help=f"Some of {', '.join(PERMISSIONS)}, with commas.  [view]")
@click.option("--role", metavar="ROLE", help="The permissions of this role instead.")
@click.option(
    "--expires", callback=parse_duration_option, metavar="TIME", default="90d", show_default=True, help="Lasts so long."
)
@click.option("--never-expires", is_flag=True, help="Lasts until it is revoked.")
@click.option("--owner", metavar="USER", help="Whose it is.  [you]")
@ledger_options
def create(
    *,
    name: str,
    permissions: str | None,
    role: str | None,
    expires: float,
    never_expires: bool,
    owner: str | None,
    db: str | None,
    conf: str | None,
) -> None:
    """Make a token called NAME. It is written to standard output, now and never again."""
    with open_store_ledger(db, conf, make=True) as (ledger, config):
        wanted = _parse_permissions(config, permissions, role)
        lasts = None if never_expires else expires
        whose = owner or current_user()
        entry = ledger.audit.add(
            "token.create", user=current_user(), auth_method="cli", outcome="in_progress",
            parameters={"name": name, "owner": whose, "permissions": sorted(wanted)},
        )  # fmt: skip
        made, text = create_token(
            ledger.tokens,
            name=name,
            owner=whose,
            auth_method="cli",
            permissions=wanted,
            allowed=PERMISSIONS,
            lifetime=lasts,
        )
        ledger.audit.finish(entry, "done", targets=[made.id])
    click.echo(text)
    if sys.stdout.isatty():
        echo_stderr("Keep it: it cannot be shown again. Use it as: Authorization: Bearer TOKEN")


@token.command("list", cls=LedgerCommand)
@click.option("--owner", metavar="USER", help="Only theirs.")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@format_options
@ledger_options
def list_tokens(
    *, owner: str | None, utc: bool, forms: tuple[OutputFormat, ...], db: str | None, conf: str | None
) -> None:
    """All tokens, newest first. What they are is not kept."""
    from datetime import UTC  # noqa: PLC0415

    with open_store_ledger(db, conf) as (ledger, _):
        rows = [_row(each) for each in ledger.tokens.tokens(owner)]
    exit_if_empty(write_table(_TOKEN_COLUMNS, rows, selected_format(forms), zone=UTC if utc else None))


@token.command(cls=LedgerCommand)
@click.argument("token_id", metavar="ID")
@ledger_options
def revoke(*, token_id: str, db: str | None, conf: str | None) -> None:
    """Revoke the token with this ID: it opens nothing from now on."""
    with open_store_ledger(db, conf) as (ledger, _):
        known = ledger.tokens.token(token_id)
        if known is None:
            raise NotFound(f"Unknown token '{token_id}'", hint="`flower token list` tells the ids")
        write_audit(ledger, "token.revoke", targets=[token_id])
        done = ledger.tokens.revoke(token_id, time.time(), current_user())
    echo_stderr(f"Revoked '{known.name}' of {known.owner}." if done else f"'{known.name}' had been revoked already.")


def _parse_permissions(config: Config, names: str | None, role: str | None) -> Any:
    if role is None:
        return parse_permissions((names or "view").split(","), "--permissions")
    if names is not None:
        raise InvalidRequest("--permissions and --role do not go together")
    known = parse_role_definitions(config.own_roles)
    if role not in known:
        raise InvalidRequest(f"There is no role '{role}'", hint=f"there are {', '.join(known)}")
    return known[role]


def _row(each: ApiToken) -> Sequence[Any]:
    return [
        each.id,
        each.name,
        each.owner,
        ",".join(each.permissions),
        token_state(each, time.time()),
        each.expires_at,
        each.last_used_at,
        each.last_used_from or None,
        each.created_at,
    ]


def token_state(each: ApiToken, now: float) -> str:
    if each.revoked_at is not None:
        return "revoked"
    return "expired" if each.expires_at is not None and each.expires_at <= now else "good"
