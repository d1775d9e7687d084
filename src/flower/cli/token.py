"""`flower token`: API tokens of a store, for users with write access to its directory."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import click

from flower.access.api_tokens import create_token
from flower.access.permissions import PERMISSIONS, parse_permissions, parse_role_definitions
from flower.cli.action_base import current_user, open_store_ledger, write_audit
from flower.cli.base import (
    QueryCommand,
    config_file_options,
    exit_if_empty,
    format_options,
    selected_format,
    utc_option,
)
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
    TableColumn("expires_at", "time", drop_order=1, min_width=19, title="expires"),
    TableColumn("last_used_at", "time", drop_order=3, min_width=19, title="last used"),
    TableColumn("last_used_from", drop_order=4, min_width=10, title="last used from"),
    TableColumn("created_at", "time", drop_order=5, min_width=19, title="created"),
)


@click.group(help="Manage API tokens.")
def token() -> None:
    pass


@token.command("create", cls=QueryCommand)
@click.argument("name")
@click.option("--permissions", metavar="LIST", help=f"Comma-separated permissions: {', '.join(PERMISSIONS)}.  [view]")
@click.option("--role", metavar="ROLE", help="Grant the permissions of this role.")
@click.option(
    "--expires", callback=parse_duration_option, metavar="DURATION", default="90d", show_default=True, help="Lifetime."
)
@click.option("--never-expires", is_flag=True, help="Create a token that does not expire.")
@click.option("--owner", metavar="USER", help="Owner of the token.  [you]")
@config_file_options
def token_create(
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
    """Create a token named NAME. The token is printed to standard output once and cannot be shown again."""
    with open_store_ledger(db, conf, create=True) as (ledger, config):
        granted = _parse_permissions(config, permissions, role)
        owner = owner or current_user()
        entry = ledger.audit.add(
            "token.create", user=current_user(), auth_method="cli", outcome="in_progress",
            parameters={"name": name, "owner": owner, "permissions": sorted(granted)},
        )  # fmt: skip
        try:
            created, secret = create_token(
                ledger.tokens,
                name=name,
                owner=owner,
                auth_method="cli",
                permissions=granted,
                allowed=PERMISSIONS,
                lifetime=None if never_expires else expires,
            )
        except InvalidRequest as error:
            ledger.audit.finish(entry, "refused", error.message)
            raise
        ledger.audit.finish(entry, "done", targets=[created.id])
    click.echo(secret)
    if sys.stdout.isatty():
        echo_stderr("Store the token now: it cannot be shown again. Use it as: Authorization: Bearer TOKEN")


@token.command("list", cls=QueryCommand)
@click.option("--owner", metavar="USER", help="Filter by owner.")
@utc_option
@format_options
@config_file_options
def token_list(
    *, owner: str | None, utc: bool, output_formats: tuple[OutputFormat, ...], db: str | None, conf: str | None
) -> None:
    """List tokens, newest first. Their secrets are not stored."""
    with open_store_ledger(db, conf) as (ledger, _):
        rows = [_row(each) for each in ledger.tokens.tokens(owner)]
    exit_if_empty(write_table(_TOKEN_COLUMNS, rows, selected_format(output_formats), zone=UTC if utc else None))


@token.command("revoke", cls=QueryCommand)
@click.argument("token_id", metavar="ID")
@config_file_options
def token_revoke(*, token_id: str, db: str | None, conf: str | None) -> None:
    """Revoke the token with this ID, effective immediately."""
    with open_store_ledger(db, conf) as (ledger, _):
        token_record = ledger.tokens.token(token_id)
        if token_record is None:
            raise NotFound(f"Unknown token '{token_id}'", hint="`flower token list` shows the ids")
        write_audit(ledger, "token.revoke", targets=[token_id])
        done = ledger.tokens.revoke(token_id, time.time(), current_user())
    if done:
        echo_stderr(f"Revoked the token '{token_record.name}' of {token_record.owner}.")
    else:
        echo_stderr(f"The token '{token_record.name}' was already revoked.")


def _parse_permissions(config: Config, names: str | None, role: str | None) -> Any:
    if role is None:
        return parse_permissions((names or "view").split(","), "--permissions")
    if names is not None:
        raise InvalidRequest("--permissions and --role are mutually exclusive")
    roles = parse_role_definitions(config.own_roles)
    if role not in roles:
        raise InvalidRequest(f"Unknown role '{role}'", hint=f"roles: {', '.join(roles)}")
    return roles[role]


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
    """`active`, `expired` or `revoked`."""
    if each.revoked_at is not None:
        return "revoked"
    return "expired" if each.expires_at is not None and each.expires_at <= now else "active"
