"""`flower password`."""

import sys

import click

from flower.cli.base import QueryCommand
from flower.errors import InvalidRequest


@click.command("password", cls=QueryCommand)
@click.argument("user")
def password(*, user: str) -> None:
    """Ask for a password and write the entry of `basic_auth` for USER, with a hash in place of the password. In a pipe
    the password is the first line of standard input."""
    from flower.access.passwords import hash_password  # noqa: PLC0415

    if ":" in user or not user:
        raise InvalidRequest("A user's name has no colon in it, and is not empty")
    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise InvalidRequest("There is no password")
    click.echo(f"{user}:{hash_password(given)}")
