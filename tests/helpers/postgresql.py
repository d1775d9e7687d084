"""A real PostgreSQL server for tests, on a free port and in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg2  # type: ignore[import-untyped]

from tests.helpers.servers import Server

#: Debian does not add the programs of the server to the path.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def find_program(name: str) -> str | None:
    found = shutil.which(name)
    return found or next((str(folder / name) for folder in reversed(_PROGRAMS) if (folder / name).exists()), None)


class PostgreSQL(Server):
    """PostgreSQL refuses to run as root; then it runs as its own user."""

    name = "postgresql"

    def __init__(self) -> None:
        super().__init__()
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self.account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    def command(self) -> list[str]:
        options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off"]
        return [
            str(find_program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port),
            *(part for option in options for part in ("-c", option)),
        ]  # fmt: skip

    def start(self) -> None:
        if not (self.folder / "data").exists():
            password = self.folder / "password"
            password.write_text("secret")
            password.chmod(0o644)
            subprocess.run(
                [
                    str(find_program("initdb")), "-D", str(self.folder / "data"), "-U", "celery", "-A", "scram-sha-256",
                    f"--pwfile={password}", "--no-sync", "-E", "UTF8", "--locale=C",
                ],
                check=True, capture_output=True, cwd=self.folder, **self.account,
            )  # fmt: skip
        super().start()

    def ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def connect(self) -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user="celery", password="secret", dbname="postgres", connect_timeout=5
        )

    def stop(self) -> None:
        """Close all connections, without waiting for the clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None

    @property
    def url(self) -> str:
        """As `result_backend`."""
        return f"db+postgresql+psycopg2://celery:secret@127.0.0.1:{self.port}/postgres"
