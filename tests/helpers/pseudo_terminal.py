"""Runs a command on a pseudo-terminal of a given width."""

import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path


def run_on_terminal(*arguments: str, folder: Path, width: int = 100, **settings: str) -> str:
    """Run `flower` and return its output, including escape sequences."""
    environment = {"TZ": "UTC", "TERM": "xterm-256color", "PATH": os.environ["PATH"], **settings}
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    command = [sys.executable, "-m", "flower", *arguments]
    child = os.posix_spawn(
        "/usr/bin/env",
        ["env", "-C", str(folder), *command],
        environment,
        file_actions=[
            *((os.POSIX_SPAWN_DUP2, follower, number) for number in (0, 1, 2)),
            (os.POSIX_SPAWN_CLOSE, leader),
        ],
    )
    os.close(follower)
    written = b""
    while part := _read(leader):
        written += part
    os.waitpid(child, 0)
    os.close(leader)
    return written.decode().replace("\r\n", "\n")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65_536)
    except OSError:  # Linux raises it when the last process has closed the other side
        return b""
