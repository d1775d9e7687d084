"""`flower password`."""

import sys

import click

from flower.cli.asking import AskingCommand
from flower.errors import Invalid


@click.command("password", cls=AskingCommand)
@click.argument("user")
def password(*, user: str) -> None:
    """Ask for a password and write the entry of `basic_auth` for USER, with a hash in place of the password. In a pipe
    the password is the first line of standard input."""
    from flower.access.passwords import hashed  # noqa: PLC0415

    if ":" in user or not user:
        raise Invalid("A user's name has no colon in it, and is not empty")
    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise Invalid("There is no password")
    click.echo(f"{user}:{hashed(given)}")
