"""uvicorn's HTTP protocol with limits of size and time for what a client sends and reads.

uvicorn limits neither the request head nor the time until it is complete, and waits forever for a client that does not
read. `ClientLimits` adds both to the protocol of either parser. Time limits are checked once per second for all
connections (`OpenConnections`), so that a request costs no timer.

The request side of a connection is in one of three phases: `idle` before the first request and between two, `head` from
the first byte of a request to the end of its headers, and `body` from there to its end. The response may begin and end
in any of them."""

import asyncio
import contextlib
import fcntl
import logging
import struct
import termios
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from flower.client_network import client_network
from flower.log_rate_limit import limit_log_rate
from flower.web.open_connections import OpenConnections

log = logging.getLogger(__name__)
limit_log_rate(log)

#: Maximum size of the request line and headers in bytes, as in Flower, and number of headers.
MAX_HEAD_SIZE: Final = 64 * 1024
MAX_HEADERS: Final = 200
#: Maximum number of requests that a client may send before it has read the response to the first.
MAX_PIPELINED: Final = 100
#: Seconds until the request head must be complete.
HEAD_TIMEOUT: Final = 15.0
#: Seconds until the request body must be complete, plus one for each `MIN_BODY_RATE` bytes received.
BODY_TIMEOUT: Final = 15.0
MIN_BODY_RATE: Final = 1_000
#: Seconds that an idle connection is kept open. Longer than the 60 s of nginx and of AWS load balancers: otherwise they
#: send requests on connections that are just being closed, and report status 502.
KEEP_ALIVE_TIMEOUT: Final = 75
#: Seconds without progress after which a client that does not read the response is disconnected.
WRITE_TIMEOUT: Final = 120.0
#: Seconds without progress after which such a client may be disconnected in favor of a new one.
STALLED_AFTER: Final = 5.0
#: Seconds in which the rest of a request is discarded after an early response. If the connection were closed at once,
#: the client would receive a reset instead of the response.
LINGER_TIMEOUT: Final = 10.0
#: Bytes that a chunk of a body may have beside its data: its size in hexadecimal digits and two line ends.
MAX_CHUNK_OVERHEAD: Final = 32

Phase: TypeAlias = Literal["idle", "head", "body"]

if TYPE_CHECKING:

    class _Protocol(H11Protocol):
        """What the protocols of both parsers have in common."""

else:
    _Protocol = object


class ClientLimits(_Protocol):
    """Mixin of a uvicorn protocol. The parser reports the phases to `_begin_head`, `_begin_body` and `_end_request`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        connections: OpenConnections,
        client_host: str,
        *,
        is_trusted: bool = False,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.client_network = client_network(client_host)
        self.is_trusted = is_trusted
        #: cancels the TLS handshake, before which there is no transport
        self.cancel_handshake: Callable[[], object] = lambda: None
        self._connections = connections
        self._phase: Phase = "idle"
        self._phase_since = self.loop.time()
        #: number of requests begun on this connection
        self._requests = 0
        #: bytes of the head, or bytes of the body that the parser has passed on
        self._received = 0
        #: bytes and chunks of the body as it was sent
        self._raw_body = 0
        self._chunks = 0
        #: when the connection is closed after an early response
        self._linger_until: float | None = None
        self._is_discarding = False
        #: bytes that the client has not read, and when their number last changed
        self._unread = 0
        self._unread_since = 0.0

    # Events of the transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_discarding or self.transport.is_closing():
            return
        if self._phase == "idle":
            self._begin_head()
        before = self._phase, self._requests
        super().data_received(data)
        if (self._phase, self._requests) != before or self._is_discarding:
            return
        # All of the data belongs to this head or body. The parser calls back only when a header is complete.
        with contextlib.suppress(RequestRejected):
            if self._phase == "head":
                self._received += len(data)
                self._check_head_size(self._received)
            elif self._phase == "body":
                self._raw_body += len(data)
                self._check_trailers()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase == "body":
            self._linger_until = self.loop.time() + LINGER_TIMEOUT
        else:
            self._phase_since = self.loop.time()

    def shutdown(self) -> None:
        if self._is_discarding:
            self.transport.abort()
        else:
            super().shutdown()

    # Phases of the request

    def _begin_head(self) -> None:
        self._phase, self._phase_since = "head", self.loop.time()
        self._received = 0
        self._requests += 1

    def _begin_body(self) -> None:
        self._phase, self._phase_since = "body", self.loop.time()
        self._received = self._raw_body = self._chunks = 0

    def _end_request(self) -> None:
        self._phase, self._phase_since = "idle", self.loop.time()
        self._linger_until = None

    def _check_head_size(self, size: int) -> None:
        """Raises RequestRejected."""
        if size > MAX_HEAD_SIZE:
            too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            status = too_large if self.headers else HTTPStatus.REQUEST_URI_TOO_LONG
            self._reject(status, f"The request line and headers exceed {MAX_HEAD_SIZE} bytes")

    def _check_header_count(self) -> None:
        """Raises RequestRejected. Trailers, the headers after a body, count as well."""
        if len(self.headers) > MAX_HEADERS:
            self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request has more than {MAX_HEADERS} headers")

    def _check_trailers(self) -> None:
        """Raises RequestRejected if the body contains more than data: trailers or chunk extensions."""
        self._check_header_count()
        if self._raw_body - self._received > MAX_HEAD_SIZE + MAX_CHUNK_OVERHEAD * self._chunks:
            self._reject(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The trailers of the request exceed {MAX_HEAD_SIZE} bytes"
            )

    # `Connection` of `OpenConnections`

    def waiting_since(self) -> tuple[bool, float] | None:
        if self.transport is None or self._is_discarding:
            return False, self._phase_since
        if self._unread and self.loop.time() - self._unread_since >= STALLED_AFTER:
            return True, self._unread_since
        if self._is_responding():
            waits = self._phase == "body" and not self.flow.read_paused
            return (True, self._phase_since) if waits else None
        return False, self._phase_since

    def unread_bytes(self) -> int:
        if self.transport is None:
            return 0
        # Under TLS the encrypted data is in the transport below, which has no public name.
        below = getattr(getattr(self.transport, "_ssl_protocol", None), "_transport", None)
        return self.transport.get_write_buffer_size() + (0 if below is None else below.get_write_buffer_size())

    def check_time_limits(self, now: float) -> None:
        if self.transport is None:
            return  # the handshake has a time limit of its own
        is_over = self._linger_until is not None and now > self._linger_until
        if is_over or self._has_stopped_reading(now):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self.flow.read_paused:
            self._phase_since = now  # the client waits for the server
        elif self._phase == "head" and now - self._phase_since > HEAD_TIMEOUT:
            self._respond_and_close(HTTPStatus.REQUEST_TIMEOUT, f"The headers were incomplete after {HEAD_TIMEOUT:g} s")
        elif self._phase == "body" and now - self._phase_since > BODY_TIMEOUT + self._raw_body / MIN_BODY_RATE:
            self._respond_and_close(HTTPStatus.REQUEST_TIMEOUT, "The body of the request was sent too slowly")
        elif self._is_idle_too_long(now):
            self.transport.close()

    def _is_idle_too_long(self, now: float) -> bool:
        # uvicorn's own timer does not run before the first request.
        timeout = KEEP_ALIVE_TIMEOUT if self._requests else HEAD_TIMEOUT
        return self._phase == "idle" and not self._is_responding() and now - self._phase_since > timeout

    def disconnect(self) -> None:
        if self.transport is None:
            self.cancel_handshake()
        else:
            self.transport.abort()

    # Rejected requests

    def _reject(self, status: HTTPStatus, message: str) -> None:
        """Raises RequestRejected, also to stop the parser."""
        self._respond_and_close(status, message)
        raise RequestRejected(message)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for each error of the parser, also for those that `_reject` caused."""
        if not self._is_discarding:
            self._respond_and_close(HTTPStatus.BAD_REQUEST, msg)

    def _respond_and_close(self, status: HTTPStatus, message: str) -> None:
        """Send an error response if no other has been started, and discard what the client still sends."""
        if self._is_discarding or self.transport.is_closing():
            return
        log.warning("Request of %s rejected: %s", self.client_network, message)
        self._is_discarding = True
        self._linger_until = self.loop.time() + LINGER_TIMEOUT
        is_responding, can_respond = self._is_responding(), self._can_respond()
        self._disconnect_application()
        if not can_respond:
            # Half of a response must not be followed by another one.
            (self.transport.abort if is_responding else self.transport.close)()
            return
        self.transport.write(error_response(status, message, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

    def _can_respond(self) -> bool:
        """Whether the next response is that to the request that is being received, and has not been started."""
        if self._phase == "body":
            return not self.cycle.response_started and not getattr(self, "pipeline", ())
        return not self._is_responding()

    def _disconnect_application(self) -> None:
        if self._is_responding():
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _has_stopped_reading(self, now: float) -> bool:
        unread = self.unread_bytes()
        if unread:
            unread += _unsent_bytes(self.transport)
        if unread != self._unread:
            self._unread, self._unread_since = unread, now
        return unread > 0 and now - self._unread_since > WRITE_TIMEOUT

    def _get_upgrade(self) -> bytes | None:
        """None: no other protocol is offered, and the request is answered as HTTP/1.1."""
        return None

    def _unsupported_upgrade_warning(self) -> None:
        # The parser would ignore all further requests on this connection.
        self.cycle.keep_alive = False


class RequestRejected(Exception):
    """The request exceeds a limit; the response has been sent."""


class LimitedH11Protocol(ClientLimits, H11Protocol):
    """For an interpreter without httptools. h11 has no callbacks: the phase follows from its state."""

    def _check_trailers(self) -> None:
        """h11 limits the size of everything but the data."""

    def handle_events(self) -> None:
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            if self._phase != "body":
                self._begin_body()
        elif state is not h11.IDLE:
            self._end_request()
        elif self.conn.trailing_data[0]:
            if self._phase != "head":
                self._begin_head()
        elif self._phase == "body":
            self._end_request()


def _httptools_protocol() -> type[ClientLimits]:
    """Raises ImportError."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415 - optional

    class LimitedHttpToolsProtocol(ClientLimits, HttpToolsProtocol):  # type: ignore[misc]
        def on_message_begin(self) -> None:
            if len(self.pipeline) >= MAX_PIPELINED:
                self._reject(HTTPStatus.TOO_MANY_REQUESTS, f"More than {MAX_PIPELINED} requests were pipelined")
            if self._phase == "idle":
                self._begin_head()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._check_head_size(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers))
            self._check_header_count()
            if sum(name == b"host" for name, _ in self.headers) > 1:  # RFC 9112, section 3.2; h11 checks this itself
                self._reject(HTTPStatus.BAD_REQUEST, "The request has more than one Host header")
            super().on_headers_complete()  # raises for a URL that is invalid: then no request is in progress
            self._begin_body()

        def on_chunk_header(self) -> None:
            self._chunks += 1

        def on_body(self, body: bytes) -> None:
            self._received += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._end_request()

    return LimitedHttpToolsProtocol


def protocol_class() -> type[ClientLimits]:
    """The protocol with the faster parser, if it is installed."""
    try:
        return _httptools_protocol()
    except ImportError:
        return LimitedH11Protocol


def error_response(status: HTTPStatus, message: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    body = message.encode()
    headers = [
        *default_headers,
        (b"server", b"Bellflower"),
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode()), *(b"%b: %b" % header for header in headers)]
    return b"\r\n".join([*lines, b"", body])


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes in the send buffer of the kernel; 0 where they are unknown. A client that reads slowly makes progress here
    long before the buffer of this process changes."""
    socket = transport.get_extra_info("socket")
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except OSError:
        return 0
    return int(count)
