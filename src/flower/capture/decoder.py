"""Decodes message bodies into checked events.

Events that Celery itself sends are decoded by msgspec straight into `Event` (0.4 µs each). Everything that msgspec
rejects (custom events with additional fields, wrong types, broken text) is converted by `coerce`. Secrets are masked
here, so that no later stage holds them. No method raises: unusable input is counted by reason and logged at most once a
minute.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from kombu import serialization

from flower.capture.coerce import MalformedEvent, parse_event
from flower.capture.decompression import BodyTooLarge, decompress
from flower.capture.unreadable_messages import UNREADABLE_REASONS, UnreadableMessages
from flower.records import Event
from flower.redaction import Redactor, Rules

log = logging.getLogger(__name__)

#: Messages with one event each that a parser passes to `decode_objects` at a time.
MAX_OBJECTS = 32

_JSON_TYPES = frozenset({"application/json", "application/x-json", "", None})
_MAX_SAMPLE = 160
#: Characters that are searched for secrets; a secret may be longer than the part that is logged.
_SAMPLE_WINDOW = 4_000
_LOG_INTERVAL = 60.0
#: Objects and lists in one body. Each needs some hundred bytes of memory and as little as two bytes of JSON, so that a
#: body of some megabytes could need gigabytes. Celery sends batches of some hundred events.
_MAX_OBJECTS = 500_000
#: Bytes of a body from which the objects are counted.
_COUNTED_SIZE = 2 * _MAX_OBJECTS


def accepted_content_types(serializers: Iterable[str]) -> frozenset[str]:
    """Content types of serializer names; names that are not registered in this process are left out."""
    names = serialization.registry.name_to_type
    return frozenset(name if "/" in name else names[name] for name in serializers if "/" in name or name in names)


class ContentHeaders(NamedTuple):
    """How kombu describes a message body."""

    content_type: str | None
    encoding: str | None
    compression: str | None


def is_json_object(body: bytes) -> bool:
    """Whether the body begins and ends as a JSON object, so that `Decoder.decode_objects` accepts it."""
    return body[:1] == b"{" and body[-1:] == b"}"


class Decoder:
    """Decodes bodies and counts skipped and malformed events. For use by one thread at a time."""

    def __init__(self, accept: Iterable[str] = ("json",), rules: Rules | None = None) -> None:
        """`rules` state what is masked; None selects the default rules."""
        self._accept = accepted_content_types(accept)
        self._redactor = Redactor(rules)
        self._loads: Any = serialization.loads
        self._decode_one = msgspec.json.Decoder(Event).decode
        self._decode_many = msgspec.json.Decoder(list[Event]).decode
        #: whether published messages are ignored whose events are in the stream of durable events too
        self.skips_stream_copies = False
        #: senders of published messages that are not in the stream, while it is read; "" for clients
        self.plain_senders: set[str] = set()
        self.skipped = 0
        self.malformed: Counter[str] = Counter()
        #: values that were too long and are shortened, by field
        self.shortened: Counter[str] = Counter()
        self.unreadable = UnreadableMessages()
        self._logged_at = -_LOG_INTERVAL
        self._unlogged = 0

    def decode_message(self, body: bytes, headers: ContentHeaders, received: float, out: list[Event]) -> None:
        """Append the events of one message to `out`."""
        if headers.compression:
            try:
                body = decompress(body, headers.compression)
            except BodyTooLarge:
                return self.reject("too large", body, headers.compression)
            except Exception:  # noqa: BLE001  each decompressor has its own errors; KeyError if it is unknown
                return self.reject("compression", body, headers.compression)
        if headers.content_type in _JSON_TYPES:
            return self.decode_json(body, received, out)
        try:
            value = self._loads(body, headers.content_type, headers.encoding, accept=self._accept)
        except Exception:  # noqa: BLE001  a decoder may raise anything, including an exception that a pickle names
            return self.reject("serializer", body, headers.content_type)
        return self._convert_objects(value, received, out)

    def decode_json(self, body: bytes, received: float, out: list[Event]) -> None:
        """Append the events of one JSON body, a single event or a list, to `out`."""
        if len(body) > _COUNTED_SIZE and body.count(b"{") + body.count(b"[") > _MAX_OBJECTS:
            return self.reject("too large", body)
        try:
            events = self._decode_many(body) if body[:1] == b"[" else [self._decode_one(body)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._decode_leniently(body, received, out)
        if _has_data(events):
            return self._decode_leniently(body, received, out)
        return self._append_masked(events, out)

    def decode_objects(self, bodies: Sequence[bytes], received: float, out: list[Event]) -> None:
        """Append the events of JSON bodies, each of which begins and ends as an object. To decode and to mask them
        together takes less time than one by one."""
        if len(bodies) > 1 and sum(map(len, bodies)) <= _COUNTED_SIZE:
            try:
                # A line end is invalid within a string, so that no string can begin in one body and end in another.
                events = self._decode_many(b"[%b]" % b",\n".join(bodies))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                events = []
            # Another number: a body is not one object.
            if len(events) == len(bodies) and not _has_data(events):
                return self._append_masked(events, out)
        for body in bodies:
            self.decode_json(body, received, out)
        return None

    def add_plain_senders(self, events: Sequence[Event]) -> None:
        """Record the senders of events that are not in the stream of durable events."""
        self.plain_senders.update("" if event.type == "task-sent" else event.hostname or "" for event in events)

    def reject(self, reason: str, sample: object, encoding: str | None = None) -> None:
        """Count an unusable input; log it at most once per interval, with the beginning of the input. `encoding`: its
        content type or compression."""
        self.malformed[reason] += 1
        if reason in UNREADABLE_REASONS:
            self.unreadable.add(reason, encoding, lambda: self._describe_sample(sample))
        self._unlogged += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOG_INTERVAL:
            log.warning(
                "capture: %d unreadable message(s) (%s): %s",
                self._unlogged,
                reason,
                self._describe_sample(sample),
            )
            self._logged_at, self._unlogged = now, 0

    def _append_masked(self, events: list[Event], out: list[Event]) -> None:
        """Append events without `data`, with secrets masked."""
        for event in self._redactor.mask_events(events):
            if event.uuid is not None and event.type[:5] == "task-":
                out.append(event)
            else:
                self._append_checked(event, out)

    def _decode_leniently(self, body: bytes, received: float, out: list[Event]) -> None:
        try:
            # errors= keeps an event whose text is not UTF-8 (its bytes become lone surrogates, which become
            # escapes); strict=False allows control characters.
            value = json.loads(body.decode("utf-8-sig", "surrogateescape"), strict=False, parse_int=_parse_integer)
        except (ValueError, RecursionError):
            return self.reject("not JSON", body)
        return self._convert_objects(value, received, out)

    def _convert_objects(self, value: object, received: float, out: list[Event]) -> None:
        """Convert the objects one by one, so that an invalid event in a list does not affect the others."""
        for item in value if isinstance(value, list | tuple) else (value,):
            try:
                event = self._redactor.mask_event(parse_event(item, received, self.shortened))
            except MalformedEvent as reason:
                self.reject(str(reason), item)
            except Exception:
                # A pickled mapping may raise anything while it is read.
                log.debug("capture: cannot convert an event", exc_info=True)
                self.reject("unreadable", type(item).__name__)
            else:
                self._append_checked(event, out)

    def _append_checked(self, event: Event, out: list[Event]) -> None:
        if event.type.startswith("task-"):
            if event.uuid is None:
                self.reject("no uuid", event)
            else:
                out.append(event)
        elif not event.type.startswith("worker-"):
            self.skipped += 1
        elif not event.hostname:
            self.reject("no hostname", event)
        else:
            out.append(event)

    def _describe_sample(self, sample: object) -> str:
        """The beginning of the input as plain ASCII without secrets: untrusted bytes must not be written to the log."""
        text = bytes(sample[:_SAMPLE_WINDOW]) if isinstance(sample, bytes | bytearray | memoryview) else sample
        try:
            return self._redactor.mask_text(ascii(text)[:_SAMPLE_WINDOW])[:_MAX_SAMPLE]
        except Exception:  # noqa: BLE001  the repr of a foreign object may raise anything
            return type(sample).__name__


def _has_data(events: list[Event]) -> bool:
    """Whether a sender named a field `data`, which is not `Event.data`."""
    for event in events:  # noqa: SIM110  `any` takes twice the time
        if event.data is not None:
            return True
    return False


def _parse_integer(digits: str) -> Any:
    # Python refuses to parse very long integers; as text they affect only their own field.
    return int(digits) if len(digits) <= 400 else digits
