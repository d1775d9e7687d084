"""Reads durable events from the Redis stream to which `flower.durable_events` appends.

Each store is a consumer group of the stream, so Redis retains what has not been written: entries are acknowledged after
the write, delivered again after a crash, and removed when every group has acknowledged them. A thread reads and
acknowledges on one connection; the recorder's thread decodes.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from celery import Celery
from redis.exceptions import ResponseError

from flower.capture.connection import backoff_delays, describe_error, open_connection
from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.protocols import CapturedBatch
from flower.capture.settings import CaptureSettings
from flower.durable_events import BODY_FIELD, ENCODING_FIELD, LOSS_FIELD, TYPE_FIELD, stream_key
from flower.records import Event, Gap
from flower.redaction import mask_url

log = logging.getLogger(__name__)

#: Seconds for connecting and for each reply.
REPLY_TIMEOUT: Final = 5.0
#: Gaps of publish/subscribe are decided when the stream is read again: seconds between two attempts, at most.
_MAX_RETRY_DELAY: Final = 5.0
#: Seconds between two checks whether the stream exists.
_EXISTS_INTERVAL: Final = 2.0
#: Entries of one read, and reads that may wait for the recorder.
_READ_COUNT, _MAX_WAITING_READS = 1_000, 8
#: Milliseconds that Redis waits for entries; acknowledgements are sent between two reads.
_BLOCK: Final = 200
#: Seconds between two removals of acknowledged entries.
_TRIM_INTERVAL: Final = 1.0
_STOP_TIMEOUT: Final = 2.0
#: Seconds that the events of one batch span at most: they share their time of arrival.
_MAX_BATCH_SPAN: Final = 1.0
#: The consumer of a group. A recorder that replaces a killed one has the same name and takes over its entries.
_CONSUMER: Final = b"recorder"


class _Loss(msgspec.Struct):
    """A worker's report of events that it could not append."""

    hostname: str
    start: float
    end: float
    event_count: int


class _Read(NamedTuple):
    """Entries in the order of the stream, and the gap before them."""

    entries: Sequence[tuple[bytes, Sequence[bytes] | None]]
    gap: Gap | None
    #: by how much the local clock is ahead of that of Redis, in seconds
    offset: float


class RedisStreamCapture:
    """Implements `flower.capture.protocols.Capture`. Does nothing until the stream exists."""

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder) -> None:
        self._decoder, self._settings = decoder, settings
        self._prototype = app.connection_for_read()
        self._exchange = app.conf.event_exchange
        self._url: object = app.conf.broker_read_url
        self._group = f"bellflower.{settings.queue_name}".encode()
        self._reads: queue.Queue[_Read] = queue.Queue(_MAX_WAITING_READS)
        self._acknowledged: deque[Sequence[bytes]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture-stream", daemon=True)
        #: since when the stream is complete, in epoch seconds; 0.0: the group existed before; None: not known yet
        self.complete_since: float | None = None
        #: whether it has been found out whether the stream exists
        self.is_probed = False
        # the reader's thread
        self._last_error: str | None = None
        self._run_id: bytes | None = None
        self._is_retained = False  # whether this group has been read before
        #: the last entry that Redis delivered to the group, and the last one that was passed to the recorder's thread
        self._last_id = self._last_passed = b"0-0"
        # the recorder's thread
        self._rest: _Read | None = None
        self._token = 0
        self._tokens: deque[tuple[int, Sequence[bytes]]] = deque()
        self._event_count = 0
        self._last_event: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether the stream is read: its events need not be recorded from publish/subscribe."""
        return self._decoder.skips_stream_copies

    @property
    def was_active(self) -> bool:
        return self._is_retained

    def start(self) -> None:
        self._thread.start()

    def read(self, timeout: float) -> CapturedBatch | None:
        read, self._rest = self._rest, None
        if read is None:
            try:
                read = self._reads.get(timeout=timeout) if timeout > 0 else self._reads.get_nowait()
            except queue.Empty:
                return None
        return self._make_batch(read)

    def ack(self, token: int) -> None:
        while self._tokens and self._tokens[0][0] <= token:
            self._acknowledged.append(self._tokens.popleft()[1])

    def progress(self, token: int) -> bytes:
        return b""  # Redis keeps it

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def status(self) -> dict[str, object]:
        return {
            "active": self.is_active,
            "events": self._event_count,
            "last_event": self._last_event,
            "last_error": self._last_error,
            "waiting_reads": self._reads.qsize(),
        }

    # ---- the recorder's thread

    def _make_batch(self, read: _Read) -> CapturedBatch:
        events: list[Event] = []
        ids: list[bytes] = []
        gap, size = read.gap, 0
        received = _id_time(read.entries[0][0]) + read.offset if read.entries else time.time()
        for index, (entry_id, fields) in enumerate(read.entries):
            arrived = _id_time(entry_id) + read.offset
            loss = _find_loss(fields)
            if (loss and ids) or arrived - received > _MAX_BATCH_SPAN:
                self._rest = _Read(read.entries[index:], None, read.offset)
                break
            ids.append(entry_id)
            if loss:
                gap = gap or loss
            elif fields is not None:
                size += self._decode(fields, arrived, events)
        self._token += 1
        self._tokens.append((self._token, ids))
        if events:
            self._event_count += len(events)
            self._last_event = received
        # One read counts as one message: the number of unacknowledged entries does not slow Redis down.
        return CapturedBatch(events, self._token, received, gap, size, messages=1 if ids else 0)

    def _decode(self, fields: Sequence[bytes], received: float, events: list[Event]) -> int:
        if len(fields) == 2 and fields[0] == BODY_FIELD:
            body = fields[1]
            self._decoder.decode_json(body, received, events)
        else:
            values = dict(zip(fields[::2], fields[1::2], strict=False))
            body = values.get(BODY_FIELD, b"")
            content_type, encoding = (
                values.get(name, b"").decode(errors="replace") or None for name in (TYPE_FIELD, ENCODING_FIELD)
            )
            self._decoder.decode_message(body, ContentHeaders(content_type, encoding, None), received, events)
        return len(body)

    # ---- the reader's thread

    def _run(self) -> None:
        delays = backoff_delays()
        while not self._stopping.is_set():
            try:
                redis, key = self._connect()
            except Exception as error:  # noqa: BLE001  each client library has its own errors; none may end capture
                self._on_failure(error)
                self._stopping.wait(min(next(delays), _MAX_RETRY_DELAY))
                continue
            try:
                self._wait_until_exists(redis, key)
                if not self._stopping.is_set():
                    self._consume(redis, key)
            except Exception as error:  # noqa: BLE001  as above
                self._on_failure(error)
                self._stopping.wait(min(next(delays), _MAX_RETRY_DELAY))
            else:
                delays = backoff_delays()
            finally:
                redis.disconnect()

    def _on_failure(self, error: Exception) -> None:
        self._decoder.skips_stream_copies, self.is_probed = False, True
        if self._last_error is None:
            log.warning("capture: cannot read the stream of durable events: %s", describe_error(error, self._url))
            log.debug("capture: stream", exc_info=True)
        self._last_error = describe_error(error, self._url)

    def _connect(self) -> tuple[Any, bytes]:
        """A connection of redis-py that is not shared, and the key of the stream."""
        with open_connection(self._prototype) as kombu:
            channel = kombu.default_channel
            pool = channel.pool
            options = {
                **pool.connection_kwargs,
                "socket_timeout": REPLY_TIMEOUT,
                "health_check_interval": 0,
                "protocol": 2,
            }
            if "path" not in options:
                options["socket_connect_timeout"] = REPLY_TIMEOUT
            redis = pool.connection_class(**options)
            redis.connect()
            return redis, stream_key(self._exchange, channel.global_keyprefix).encode()

    def _wait_until_exists(self, redis: Any, key: bytes) -> None:
        while not self._stopping.is_set() and not _call(redis, "EXISTS", key):
            self.is_probed, self._last_error = True, None
            self._stopping.wait(_EXISTS_INTERVAL)

    def _consume(self, redis: Any, key: bytes) -> None:
        """Read until stop is requested. Raises what redis-py raises."""
        offset = self._measure_offset(redis)
        gap = self._join_group(redis, key)
        self._check_restart(redis)
        self._last_error = None
        log.info("capture: reading durable events from the stream %s at %s", key.decode(), mask_url(self._url))
        self._read_unacknowledged(redis, key, offset, gap)
        self._decoder.skips_stream_copies = self.is_probed = self._is_retained = True
        next_trim = 0.0
        while not self._stopping.is_set():
            self._send_acknowledgements(redis, key)
            if time.monotonic() >= next_trim:
                next_trim = time.monotonic() + _TRIM_INTERVAL
                self._trim(redis, key)
                offset = self._measure_offset(redis)
            self._read_new(redis, key, offset)
        self._send_acknowledgements(redis, key)
        self._trim(redis, key)
        if self._settings.delete_queue_on_stop:
            _call(redis, "XGROUP", "DESTROY", key, self._group)

    def _join_group(self, redis: Any, key: bytes) -> Gap | None:
        """Create the group if it does not exist. Returns a gap if it existed before and was lost with its stream."""
        try:
            _call(redis, "XGROUP", "CREATE", key, self._group, "0")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            groups = [_pairs(group) for group in _call(redis, "XINFO", "GROUPS", key)]
            mine = next(group for group in groups if group[b"name"] == self._group)
            self._last_id = mine[b"last-delivered-id"]
            if self.complete_since is None:
                self.complete_since = 0.0
            return None
        first = _first_id(redis, key)
        previous, self._last_id, self._last_passed = self._last_id, b"0-0", b"0-0"
        self.complete_since = _id_time(first) if first else time.time()
        if not self._is_retained:
            return None
        end = _id_time(first) if first else time.time()
        return Gap(
            _id_time(previous), end, "the stream of durable events was removed from Redis", cause="stream_overflow"
        )

    def _check_restart(self, redis: Any) -> None:
        """A Redis that was restarted may have lost its last writes, according to its persistence."""
        try:
            lines = _call(redis, "INFO", "server").splitlines()
        except ResponseError:  # no permission
            return
        run_id = next((line for line in lines if line.startswith(b"run_id:")), None)
        if self._run_id not in (None, run_id):
            self.complete_since = time.time()
        self._run_id = run_id

    def _read_unacknowledged(self, redis: Any, key: bytes, offset: float, gap: Gap | None) -> None:
        """Read what was delivered to this group before and not acknowledged: what a killed recorder had not written,
        or what was lost with the connection. Entries that wait in this process are not read again."""
        if gap is not None:
            self._put(_Read((), gap, offset))
        while not self._stopping.is_set():
            entries = self._read_group(redis, key, self._last_passed)
            if not entries:
                return
            removed = [entry_id for entry_id, fields in entries if fields is None]
            lost = None
            if removed:
                start, end = _id_time(removed[0]) + offset, _id_time(removed[-1]) + offset
                lost = Gap(start, end, _OVERFLOW_REASON, cause="stream_overflow")
            self._put(_Read(entries, lost, offset))

    def _read_new(self, redis: Any, key: bytes, offset: float) -> None:
        entries = self._read_group(redis, key, b">")
        if not entries:
            return
        previous, self._last_id = self._last_id, entries[-1][0]
        gap = None
        # Entries are removed from the oldest on. While the last delivered entry is there, none after it was removed;
        # acknowledged entries are removed up to it, but without it.
        if previous != b"0-0" and not _call(redis, "XRANGE", key, previous, previous, "COUNT", "1"):
            start, end = _id_time(previous) + offset, _id_time(entries[0][0]) + offset
            gap = Gap(start, end, _OVERFLOW_REASON, cause="stream_overflow")
        self._put(_Read(entries, gap, offset))

    def _read_group(self, redis: Any, key: bytes, start: bytes) -> list[tuple[bytes, Sequence[bytes] | None]]:
        reply = _call(
            redis, "XREADGROUP", "GROUP", self._group, _CONSUMER, "COUNT", str(_READ_COUNT), "BLOCK", str(_BLOCK),
            "STREAMS", key, start,
        )  # fmt: skip
        return [(entry[0], entry[1] or None) for entry in reply[0][1]] if reply else []

    def _put(self, read: _Read) -> None:
        while not self._stopping.is_set():
            try:
                self._reads.put(read, timeout=0.5)
            except queue.Full:
                continue
            if read.entries:
                self._last_passed = read.entries[-1][0]
            return

    def _send_acknowledgements(self, redis: Any, key: bytes) -> None:
        while self._acknowledged:
            ids = self._acknowledged[0]
            if ids:
                _call(redis, "XACK", key, self._group, *ids)
            self._acknowledged.popleft()

    def _trim(self, redis: Any, key: bytes) -> None:
        """Remove entries that every group has acknowledged. The last acknowledged entry of each group stays."""
        oldest: list[bytes] = []
        for group in map(_pairs, _call(redis, "XINFO", "GROUPS", key)):
            if group[b"name"] != self._group and self._is_abandoned(redis, key, group):
                continue
            pending = _call(redis, "XPENDING", key, group[b"name"]) if group[b"pending"] else None
            oldest.append(pending[1] if pending and pending[1] else group[b"last-delivered-id"])
        if oldest and (limit := min(oldest, key=_id_order)) != b"0-0":
            try:
                _call(redis, "XTRIM", key, "MINID", "~", limit)
            except ResponseError as error:  # Redis 6.0 and older: the maximum length limits the stream
                log.debug("capture: cannot remove acknowledged entries: %s", error)

    def _is_abandoned(self, redis: Any, key: bytes, group: dict[bytes, Any]) -> bool:
        """Whether no recorder has read this group for the time that RabbitMQ would keep its queue."""
        consumers = [_pairs(consumer) for consumer in _call(redis, "XINFO", "CONSUMERS", key, group[b"name"])]
        limit = self._settings.queue_expires * 1000
        return bool(consumers) and all(consumer[b"idle"] > limit for consumer in consumers)

    @staticmethod
    def _measure_offset(redis: Any) -> float:
        """By how many seconds the local clock is ahead of that of Redis. Small differences are noise."""
        before = time.time()
        seconds, microseconds = _call(redis, "TIME")
        offset = (before + time.time()) / 2 - (int(seconds) + int(microseconds) / 1e6)
        return offset if abs(offset) > 0.01 else 0.0


_OVERFLOW_REASON = "the stream of durable events reached its maximum length before these events were read"


def _call(redis: Any, *command: object) -> Any:
    """The reply to a command, as bytes. Raises what redis-py raises."""
    redis.send_command(*command, check_health=False)
    return redis.read_response(disable_decoding=True)


def _pairs(reply: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _first_id(redis: Any, key: bytes) -> bytes | None:
    entries = _call(redis, "XRANGE", key, "-", "+", "COUNT", "1")
    return entries[0][0] if entries else None


def _id_time(entry_id: bytes) -> float:
    """When the entry arrived at Redis, in epoch seconds of its clock."""
    return int(entry_id.partition(b"-")[0]) / 1000


def _id_order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _find_loss(fields: Sequence[bytes] | None) -> Gap | None:
    """The gap that a worker reports, if the entry is such a report."""
    if not fields or fields[0] != LOSS_FIELD:
        return None
    try:
        loss = msgspec.json.decode(fields[1], type=_Loss)
    except msgspec.MsgspecError:
        return None
    # Clients have names of no worker: tasks that they sent may be missing entirely.
    worker = None if loss.hostname.startswith("gen") else loss.hostname
    reason = f"{loss.hostname} could not append {loss.event_count:,} events to the stream"
    return Gap(loss.start, loss.end, reason, cause="stream_overflow", worker=worker)
