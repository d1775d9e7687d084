"""The drain's source: implements EventSource without loading kombu, Celery and the client library of Redis, which need
30 MB of memory.

A child process, the connector, loads them, opens the first connection and passes its socket. It returns the address and
the login too: later connections are opened directly, at once. With several URLs the connector opens each connection,
because it decides which URL is used. The socket of a TLS connection cannot be passed: then the drain loads the
libraries.
"""

import os
import pickle
import selectors
import socket
import subprocess
import sys
import time
from typing import Final, TypeAlias

import hiredis
import msgspec

from flower.capture.connection import NoAnswer
from flower.capture.interruption import Interruption
from flower.capture.redis_subscription import KEEP_ALIVE, EventSubscriber, request
from flower.capture.settings import CaptureSettings, accepted_serializers
from flower.capture.socket_connection import SocketConnection
from flower.capture.source import ConnectionLost, EventSource
from flower.records import Event

#: Seconds for the connector, which limits the time for each URL itself.
_CONNECTOR_TIMEOUT: Final = 120.0
_MAX_REPLY: Final = 1 << 20


class CannotConnect(ConnectionError):
    """What the connector reports."""


class RedisAddress(msgspec.Struct, frozen=True):
    """Where a Redis server is, and the login. Times are seconds."""

    #: of a Unix socket, else empty
    path: str
    host: str
    port: int
    timeout: float
    username: str | None
    password: str | None
    client_name: str | None
    #: options of TCP keep-alive by number; None = not used
    keep_alive: dict[int, int] | None

    def __repr__(self) -> str:
        """Contains no password."""
        return f"RedisAddress({self.path or f'{self.host}:{self.port}'})"

    def open(self) -> socket.socket:
        """A connected socket that is logged in. Raises ConnectionLost and OSError."""
        started_at = time.monotonic()
        try:
            sock = self._open_socket()
        except TimeoutError as error:
            raise NoAnswer(time.monotonic() - started_at) from error
        try:
            password = (self.password or "").encode()
            if self.username:
                self._call(sock, b"AUTH", self.username.encode(), password)
            elif password:
                self._call(sock, b"AUTH", password)
            if self.client_name:
                self._call(sock, b"CLIENT", b"SETNAME", self.client_name.encode())
        except BaseException:
            sock.close()
            raise
        return sock

    def _open_socket(self) -> socket.socket:
        if self.path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(self.timeout)
                sock.connect(self.path)
            except BaseException:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((self.host, self.port), self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.keep_alive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in self.keep_alive.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return sock

    @staticmethod
    def _call(sock: socket.socket, *arguments: bytes) -> None:
        reply = request(sock, *arguments)
        if isinstance(reply, hiredis.ReplyError):
            raise ConnectionLost(f"Redis error: {reply}")


class Opened(msgspec.Struct, frozen=True, tag=True):
    """Reply of the connector: the socket is attached. `address` is None if only the connector can open another."""

    pattern: bytes
    address: RedisAddress | None


class UsesTls(msgspec.Struct, frozen=True, tag=True):
    """Reply of the connector: the connection works, and its socket cannot be passed."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Reply of the connector: no connection. `reason` contains neither address nor password."""

    reason: str


Reply: TypeAlias = Opened | UsesTls | Failed


class _NoParser:
    """The drain does not parse: the recorder does."""

    completed_tag: int | None = None

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        raise AssertionError("the drain does not parse")

    def ack(self, tag: int) -> bytes:
        raise AssertionError("Redis pub/sub has no acknowledgement")


class DrainSource:
    """Implements EventSource for one thread."""

    description = "Redis, direct socket"
    broker_retains_messages = False
    has_drain_process = True

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self.url: object = settings.conf.get("broker_read_url")
        self._subscriber = EventSubscriber()
        self._opened: Opened | None = None
        self._tls_source: EventSource | None = None

    def connect(self, interruption: Interruption | None) -> SocketConnection:
        if self._tls_source is not None:
            return self._connect_tls(self._tls_source, interruption)
        opened = self._opened
        if opened is not None and opened.address is not None:
            sock = opened.address.open()
        else:
            reply, received = _run_connector(self._settings)
            if not isinstance(reply, Opened) or received is None:
                if isinstance(reply, Failed):
                    raise CannotConnect(reply.reason)
                self._tls_source = self._create_tls_source()
                return self._connect_tls(self._tls_source, interruption)
            self._opened, opened, sock = reply, reply, received
        try:
            gap = self._subscriber.subscribe(sock, opened.pattern, interruption)
        except BaseException:
            sock.close()
            raise
        return SocketConnection(sock, _NoParser(), gap, KEEP_ALIVE)

    def clean_up(self) -> None:
        """Nothing to do: Redis keeps no state of a subscriber."""

    def _create_tls_source(self) -> EventSource:
        # 30 MB of memory: loaded for TLS only
        from flower.capture.connection import app_from_settings  # noqa: PLC0415
        from flower.capture.decoder import Decoder  # noqa: PLC0415
        from flower.capture.redis import RedisSource  # noqa: PLC0415

        settings = self._settings
        return RedisSource(app_from_settings(settings), Decoder(accepted_serializers(settings), settings.redaction))

    @staticmethod
    def _connect_tls(source: EventSource, interruption: Interruption | None) -> SocketConnection:
        connection = source.connect(interruption)
        assert isinstance(connection, SocketConnection)
        return connection


def _run_connector(settings: CaptureSettings) -> tuple[Reply, socket.socket | None]:
    """Run the connector process. Returns its reply and the socket that is attached. Raises CannotConnect and
    OSError."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own module
                # without the working directory in sys.path: it is the directory of the sockets
                [sys.executable, "-P", "-m", "flower.capture.drain.connector", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        try:
            assert process.stdin is not None
            with process.stdin:
                # The modules of values in the settings may be anywhere in this path.
                process.stdin.write(pickle.dumps((sys.path, pickle.dumps(settings))))
            data, descriptors = _receive(ours)
        except BrokenPipeError:
            data, descriptors = b"", []
        finally:
            process.kill()  # it has nothing more to do
            process.wait()
    sock = socket.socket(fileno=descriptors[0]) if descriptors else None
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    try:
        return msgspec.msgpack.decode(data, type=Reply), sock
    except msgspec.MsgspecError:
        if sock is not None:
            sock.close()
        raise CannotConnect("the process that connects to the broker ended unexpectedly") from None


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """The message of the connector and the descriptors; empty if it ended, or has none in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        if not selector.select(_CONNECTOR_TIMEOUT):
            raise NoAnswer(_CONNECTOR_TIMEOUT)
    data, descriptors, _, _ = socket.recv_fds(sock, _MAX_REPLY, 1)
    return data, descriptors
