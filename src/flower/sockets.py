"""Listening sockets. They are opened before anything else starts, so that a port in use is reported at once."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flower.errors import InvalidRequest

#: Maximum number of connections that wait to be accepted.
LISTEN_BACKLOG = 2048
#: Any user of this machine may connect, as in Flower; the permissions of the directory restrict access.
SOCKET_MODE = 0o777


@contextmanager
def bind_tcp(address: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen on all addresses of a host name; "" is every interface, IPv4 and IPv6. Port 0 is any free port, the same
    for all addresses. Raises InvalidRequest."""
    with ExitStack() as opened:
        try:
            listeners = [opened.enter_context(each) for each in _open_listeners(address, port)]
        except (OSError, UnicodeError) as error:
            hint = "choose another --port" if getattr(error, "errno", None) == errno.EADDRINUSE else ""
            # asyncio repeats the address in the text of the error
            code = getattr(error, "errno", None)
            reason = os.strerror(code) if isinstance(code, int) and code > 0 else error
            raise InvalidRequest(f"Cannot listen on {address or '*'}:{port}: {reason}", hint=hint) from error
        yield listeners


@contextmanager
def bind_unix(path: str) -> Iterator[list[socket.socket]]:
    """Listen on a Unix socket, which is removed on exit. Raises InvalidRequest."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _bind_path(listener, path)
        except OSError as error:
            raise InvalidRequest(f"Cannot listen on the Unix socket {path}: {error.strerror or error}") from error
        created = os.stat(path)
        try:
            yield [listener]
        finally:
            # A socket that another process has created in its place stays.
            if os.path.exists(path) and os.path.samestat(os.stat(path), created):
                os.unlink(path)


def socket_url(listener: socket.socket, address: str, *, tls: bool) -> str:
    """The URL of the listener with its actual port, without a path."""
    host = address or "127.0.0.1"
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _open_listeners(address: str, port: int) -> list[socket.socket]:
    if not address:
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        return [
            _set_options(socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=LISTEN_BACKLOG))
        ]
    address_infos = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A dict removes duplicates and keeps the order.
    addresses = list({(family, str(sockaddr[0])): None for family, _, _, _, sockaddr in address_infos})
    listeners: list[socket.socket] = []
    try:
        for family, host in addresses:
            listener = _open_listener(family, host, port, is_only=len(addresses) == 1)
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
    """None for an address that this machine does not have (such as ::1 in a container), if the name has other
    addresses."""
    try:
        return _set_options(socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG))
    except OSError as error:
        if is_only or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        return None


def _set_options(listener: socket.socket) -> socket.socket:
    # asyncio sets it only on sockets that name their protocol; without it most responses are delayed by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bind_path(listener: socket.socket, path: str) -> None:
    """Bind a Unix socket. A leftover socket of a killed process is replaced; a socket in use and any other file are an
    error."""
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "not a socket")
        if _is_in_use(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        Path(path).unlink()
    listener.bind(path)
    os.chmod(path, SOCKET_MODE)
    listener.listen(LISTEN_BACKLOG)


def _is_in_use(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True
