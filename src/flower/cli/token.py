"""`flower token`: API tokens of the store, for whoever may write to its folder."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from flower.access.permissions import PERMISSIONS
from flower.access.roles import permissions_from, roles_known
from flower.access.tokens import make
from flower.cli.asking import form_of, found, with_forms
from flower.cli.durations import seconds_of
from flower.cli.ledgers import LedgerCommand, note, opened, whoami, with_ledger
from flower.cli.sheet import Form, Heading, say, write_rows
from flower.config import Config
from flower.errors import Invalid, NotFound
from flower.store.ledger.tokens import Token

_TOKENS = (
    Heading("id", rank=0, least=12),
    Heading("name", rank=0, least=12),
    Heading("owner", rank=2, least=8),
    Heading("permissions", rank=1, least=12),
    Heading("state", rank=0, least=7),
    Heading("expires", "time", rank=1, least=19),
    Heading("used", "time", rank=3, least=19),
    Heading("used_from", rank=4, least=10),
    Heading("made", "time", rank=5, least=19),
)


@click.group(help="API tokens: make, list and revoke them.")
def token() -> None:
    pass


@token.command(cls=LedgerCommand)
@click.argument("name")
@click.option("--permissions", metavar="LIST", help=f"Some of {', '.join(PERMISSIONS)}, with commas.  [view]")
@click.option("--role", metavar="ROLE", help="The permissions of this role instead.")
@click.option("--expires", callback=seconds_of, metavar="TIME", default="90d", show_default=True, help="Lasts so long.")
@click.option("--never-expires", is_flag=True, help="Lasts until it is revoked.")
@click.option("--owner", metavar="USER", help="Whose it is.  [you]")
@with_ledger
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
    with opened(db, conf, make=True) as (ledger, config):
        wanted = _permissions(config, permissions, role)
        lasts = None if never_expires else expires
        whose = owner or whoami()
        entry = ledger.audit.add(
            "token.create", who=whoami(), way="cli", outcome="begun",
            parameters={"name": name, "owner": whose, "permissions": sorted(wanted)},
        )  # fmt: skip
        made, text = make(
            ledger.tokens, name=name, owner=whose, way="cli", permissions=wanted, allowed=PERMISSIONS, lasts=lasts
        )
        ledger.audit.finish(entry, "done", targets=[made.id])
    click.echo(text)
    if sys.stdout.isatty():
        say("Keep it: it cannot be shown again. Use it as: Authorization: Bearer TOKEN")


@token.command("list", cls=LedgerCommand)
@click.option("--owner", metavar="USER", help="Only theirs.")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@with_forms
@with_ledger
def list_tokens(*, owner: str | None, utc: bool, forms: tuple[Form, ...], db: str | None, conf: str | None) -> None:
    """All tokens, newest first. What they are is not kept."""
    from datetime import UTC  # noqa: PLC0415

    with opened(db, conf) as (ledger, _):
        rows = [_row(each) for each in ledger.tokens.tokens(owner)]
    found(write_rows(_TOKENS, rows, form_of(forms), zone=UTC if utc else None))


@token.command(cls=LedgerCommand)
@click.argument("token_id", metavar="ID")
@with_ledger
def revoke(*, token_id: str, db: str | None, conf: str | None) -> None:
    """Revoke the token with this ID: it opens nothing from now on."""
    with opened(db, conf) as (ledger, _):
        known = ledger.tokens.token(token_id)
        if known is None:
            raise NotFound(f"Unknown token '{token_id}'", hint="`flower token list` tells the ids")
        note(ledger, "token.revoke", targets=[token_id])
        done = ledger.tokens.revoke(token_id, time.time(), whoami())
    say(f"Revoked '{known.name}' of {known.owner}." if done else f"'{known.name}' had been revoked already.")


def _permissions(config: Config, names: str | None, role: str | None) -> Any:
    if role is None:
        return permissions_from((names or "view").split(","), "--permissions")
    if names is not None:
        raise Invalid("--permissions and --role do not go together")
    known = roles_known(config.own_roles)
    if role not in known:
        raise Invalid(f"There is no role '{role}'", hint=f"there are {', '.join(known)}")
    return known[role]


def _row(each: Token) -> Sequence[Any]:
    return [
        each.id,
        each.name,
        each.owner,
        ",".join(each.permissions),
        state(each, time.time()),
        each.expires,
        each.used,
        each.used_from or None,
        each.made,
    ]


def state(each: Token, now: float) -> str:
    if each.revoked is not None:
        return "revoked"
    return "expired" if each.expires is not None and each.expires <= now else "good"
