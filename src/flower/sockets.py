"""The sockets that we listen on: opened before anything else is started, so that a port in use costs nothing."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flower.errors import InvalidRequest

#: Connections that may wait to be accepted.
LISTEN_BACKLOG = 512
#: Anybody on this machine may connect, as in Flower: the folder of the socket says who gets there.
SOCKET_MODE = 0o777


@contextmanager
def bind_tcp(address: str, port: int) -> Iterator[list[socket.socket]]:
    """All addresses that the name has; "" is every interface, IPv4 and IPv6. Port 0 is any free one, the same for all.
    Raises Invalid."""
    with ExitStack() as opened:
        try:
            listeners = [opened.enter_context(each) for each in _open_listeners(address, port)]
        except (OSError, UnicodeError) as error:
            hint = "choose another --port" if getattr(error, "errno", None) == errno.EADDRINUSE else ""
            reason = getattr(error, "strerror", None) or error
            raise InvalidRequest(f"Cannot listen on {address or '*'}:{port}: {reason}", hint=hint) from error
        yield listeners


@contextmanager
def bind_unix(path: str) -> Iterator[list[socket.socket]]:
    """A unix socket, which is removed again. Raises Invalid."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _bind_path(listener, path)
        except OSError as error:
            raise InvalidRequest(f"Cannot listen on the unix socket {path}: {error.strerror or error}") from error
        ours = os.stat(path)
        try:
            yield [listener]
        finally:
            # Not one that somebody has put in its place meanwhile.
            if os.path.exists(path) and os.path.samestat(os.stat(path), ours):
                os.unlink(path)


def socket_url(listener: socket.socket, address: str, *, tls: bool) -> str:
    """As one would type it, with the real port; without a path."""
    host = address or "127.0.0.1"
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _open_listeners(address: str, port: int) -> list[socket.socket]:
    if not address:
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        return [
            _set_options(socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=LISTEN_BACKLOG))
        ]
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A dict keeps the order and drops what a name has twice.
    places = list({(family, str(place[0])): None for family, _, _, _, place in found})
    listeners: list[socket.socket] = []
    try:
        for family, host in places:
            listener = _open_listener(family, host, port, is_only=len(places) == 1)
            if listener is not None:
                listeners.append(listener)
                port = port or listener.getsockname()[1]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    if not listeners:
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return listeners


def _open_listener(family: int, host: str, port: int, *, is_only: bool) -> socket.socket | None:
    """None for an address that this machine does not have, such as ::1 in a container, if the name has others."""
    try:
        return _set_options(socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG))
    except OSError as error:
        if is_only or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        return None


def _set_options(listener: socket.socket) -> socket.socket:
    # asyncio sets it only on sockets that name their protocol; without it most answers wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bind_path(listener: socket.socket, path: str) -> None:
    """A socket that nobody listens on is left over of a process that was killed; anything else is not ours."""
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "this is no socket")
        if _is_in_use(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        Path(path).unlink()
    listener.bind(path)
    os.chmod(path, SOCKET_MODE)
    listener.listen(LISTEN_BACKLOG)


def _is_in_use(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True
