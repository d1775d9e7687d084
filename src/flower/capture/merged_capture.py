"""Two captures as one: events published by Redis, and the stream of durable events.

While the stream is read, published events that are in the stream too are skipped; those of workers and clients without
durable events are recorded from publish/subscribe. A gap of publish/subscribe affects only the latter.
"""

import json
import logging
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flower.capture.decoder import Decoder
from flower.capture.protocols import Capture, CapturedBatch
from flower.capture.redis_stream import RedisStreamCapture
from flower.private_files import create_directory, write_text
from flower.records import Gap
from flower.untrusted_values import convert_or_none

log = logging.getLogger(__name__)

#: Seconds after which a sender without durable events that sends nothing is removed from the list of senders.
_MAX_SENDER_AGE: Final = 86_400.0
#: Seconds between two writes of that list.
_WRITE_INTERVAL: Final = 10.0
#: Seconds that a gap waits until it is known whether the stream is read.
_PROBE_TIMEOUT: Final = 10.0
_RECONNECT_TIMEOUT: Final = 15.0
#: Seconds for which a gap is also assigned to workers that are seen for the first time after it.
_ASSIGN_TIMEOUT: Final = 300.0
#: The entry of the list for all clients: a gap affects tasks of which they sent the only event.
_CLIENTS: Final = ""


class SenderList:
    """Senders whose events are not in the stream, with the time of their last event; kept in a file, because a gap is
    reported right after the start. Without a file, all senders count as such."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: dict[str, float] = {}
        self._written_at = 0.0
        self.is_known = False
        try:
            stored = json.loads(path.read_bytes()) if path else None
        except (OSError, ValueError):
            return
        if isinstance(stored, dict):
            self.is_known = True
            self._seen = {name: at for name, at in stored.items() if convert_or_none(at, float) is not None}

    def add(self, sender: str, now: float) -> bool:
        """Returns whether the sender is new."""
        is_new = sender not in self._seen
        self._seen[sender] = now
        return is_new

    def __contains__(self, sender: str) -> bool:
        return sender in self._seen

    def workers(self, now: float) -> list[str]:
        return [name for name, at in self._seen.items() if name != _CLIENTS and now - at < _MAX_SENDER_AGE]

    def has_clients(self, now: float) -> bool:
        return now - self._seen.get(_CLIENTS, 0.0) < _MAX_SENDER_AGE

    def write(self, now: float, *, force: bool = False) -> None:
        if self._path is None or (now - self._written_at < _WRITE_INTERVAL and not force):
            return
        self._written_at, self.is_known = now, True
        self._seen = {name: at for name, at in self._seen.items() if now - at < _MAX_SENDER_AGE}
        try:
            create_directory(self._path.parent)
            temporary = self._path.with_suffix(".new")
            write_text(temporary, json.dumps(self._seen))
            temporary.replace(self._path)
        except OSError as error:  # for instance a full disk: the next gap then affects all senders
            log.debug("capture: cannot write %s: %s", self._path, error)


class MergedCapture:
    """Implements `flower.capture.protocols.Capture`."""

    def __init__(self, published: Capture, stream: RedisStreamCapture, senders: SenderList, decoder: Decoder) -> None:
        self._published, self._stream, self._senders, self._decoder = published, stream, senders, decoder
        self._token = 0
        #: own token, which of the two captures, its token
        self._tokens: deque[tuple[int, Capture, int]] = deque()
        #: the newest token of publish/subscribe that is on disk
        self._published_token = 0
        self._held_gaps: deque[tuple[float, Gap]] = deque()
        self._ready_gaps: deque[Gap] = deque()
        self._recent_gap: tuple[float, Gap] | None = None
        self._started_at = 0.0

    def start(self) -> None:
        self._started_at = time.monotonic()
        self._published.start()
        self._stream.start()

    def read(self, timeout: float) -> CapturedBatch | None:
        batch = self._read(timeout)
        self._assign_held_gaps()
        if not self._ready_gaps or (batch is not None and batch.gap is not None):
            return batch
        gap = self._ready_gaps.popleft()
        if batch is not None:
            return replace(batch, gap=gap)
        self._token += 1
        return CapturedBatch((), self._token, time.time(), gap)

    def _read(self, timeout: float) -> CapturedBatch | None:
        # The capture that has more events is waited for.
        first, second = (self._stream, self._published) if self._stream.is_active else (self._published, self._stream)
        for capture, wait in ((second, 0.0), (first, 0.0 if self._ready_gaps else timeout)):
            batch = capture.read(wait)
            if batch is not None:
                return self._take(capture, batch)
        return None

    def ack(self, token: int) -> None:
        newest: dict[int, tuple[Capture, int]] = {}
        while self._tokens and self._tokens[0][0] <= token:
            _, capture, own = self._tokens.popleft()
            newest[id(capture)] = (capture, own)
        for capture, own in newest.values():
            capture.ack(own)

    def progress(self, token: int) -> bytes:
        """That of publish/subscribe: Redis keeps the progress of the stream."""
        for own, capture, inner in self._tokens:
            if own > token:
                break
            if capture is self._published:
                self._published_token = inner
        return self._published.progress(self._published_token)

    def stop(self) -> None:
        self._published.stop()
        self._stream.stop()
        if self._stream.is_active:
            self._senders.write(time.time(), force=True)

    def status(self) -> dict[str, object]:
        status: dict[str, Any] = dict(self._published.status())
        stream: dict[str, Any] = self._stream.status()
        if self._stream.is_active:
            status["path"] = f"{status['path']} and durable events"
        status["events"] += stream["events"]
        times = [at for at in (status["last_event"], stream["last_event"]) if at is not None]
        return {**status, "last_event": max(times, default=None), "stream": stream}

    def _take(self, capture: Capture, batch: CapturedBatch) -> CapturedBatch:
        self._token += 1
        self._tokens.append((self._token, capture, batch.token))
        batch = replace(batch, token=self._token)
        if capture is self._published:
            if batch.gap is not None:
                self._held_gaps.append((time.monotonic(), batch.gap))
                batch = replace(batch, gap=None)
            if self._stream.is_active:
                self._add_senders()
        return batch

    def _add_senders(self) -> None:
        now = time.time()
        senders, self._decoder.plain_senders = self._decoder.plain_senders, set()
        for sender in senders:
            if self._senders.add(sender, now) and self._recent_gap is not None:
                ended, gap = self._recent_gap
                if time.monotonic() - ended < _ASSIGN_TIMEOUT:
                    self._ready_gaps.append(replace_worker(gap, sender))
        self._senders.write(now)

    def _assign_held_gaps(self) -> None:
        """Decide which senders a gap of publish/subscribe affects, once it is known whether the stream is read."""
        while self._held_gaps:
            since, gap = self._held_gaps[0]
            # After the loss of a connection both sources reconnect, each with its own delays.
            if not self._stream.is_active and time.monotonic() - since < (
                _RECONNECT_TIMEOUT if self._stream.was_active else 0.0 if self._stream.is_probed else _PROBE_TIMEOUT
            ):
                return
            self._held_gaps.popleft()
            complete_since = self._stream.complete_since
            is_covered = self._stream.is_active and complete_since is not None and complete_since <= gap.start
            now = time.time()
            if not is_covered or not self._senders.is_known or self._senders.has_clients(now):
                self._ready_gaps.append(gap)
                continue
            self._recent_gap = (time.monotonic(), gap)
            self._ready_gaps.extend(replace_worker(gap, worker) for worker in self._senders.workers(now))
        if self._stream.is_active:
            self._senders.write(time.time())


def replace_worker(gap: Gap, sender: str) -> Gap:
    """The same gap for the events of one worker; of all, if the sender is a client."""
    return Gap(gap.start, gap.end, gap.reason, gap.cause, sender or None)
