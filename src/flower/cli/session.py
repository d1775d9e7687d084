"""`flower session`: ends sessions of a store, for users with write access to its directory."""

import click

from flower.access.sessions import end_all_sessions
from flower.cli.action_base import open_store_ledger, write_audit
from flower.cli.base import QueryCommand, config_file_options
from flower.cli.table import echo_stderr
from flower.errors import InvalidRequest


@click.group(help="End sessions of signed-in users.")
def session() -> None:
    pass


@session.command("end", cls=QueryCommand)
@click.option("--user", metavar="USER", help="End the sessions of this user.")
@click.option("--all", "all_users", is_flag=True, help="End the sessions of all users.")
@config_file_options
def session_end(*, user: str | None, all_users: bool, db: str | None, conf: str | None) -> None:
    """End the sessions of a user or of all users, on all servers of the store. Passwords and tokens remain valid."""
    if (user is not None) == all_users:
        raise InvalidRequest("Either --user or --all is required")
    with open_store_ledger(db, conf) as (ledger, _):
        write_audit(ledger, "session.end", targets=["*" if user is None else user])
        end_all_sessions(ledger.sessions, user)
    echo_stderr("Ended the sessions of all users." if user is None else f"Ended the sessions of {user}.")
