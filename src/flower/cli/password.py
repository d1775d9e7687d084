"""`flower password`."""

import sys

import click

from flower.access.passwords import hash_password
from flower.cli.base import QueryCommand
from flower.errors import InvalidRequest


@click.command("password", cls=QueryCommand)
@click.argument("user")
def password(*, user: str) -> None:
    """Prompt for a password and print the `basic_auth` entry of USER with its hash.

    If standard input is not a terminal, its first line is the password."""
    if ":" in user or not user:
        raise InvalidRequest("Invalid user name: must not be empty or contain a colon")
    if sys.stdin.isatty():
        password_text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password_text = sys.stdin.readline().rstrip("\r\n")
    if not password_text:
        raise InvalidRequest("The password must not be empty")
    click.echo(f"{user}:{hash_password(password_text)}")
