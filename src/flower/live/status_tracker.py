"""Versions of the state of workers, recorder and store. The version increases when something changes, so that each
subscriber receives what is newer than the version it has."""

from collections.abc import Mapping
from typing import Final

from flower.live.filters import StatusText, StreamBackend

#: Seconds between two reads of the state.
STATUS_POLL_INTERVAL: Final = 1.0


class WorkerTracker:
    def __init__(self) -> None:
        self.version = 0
        #: by name: the version in which a worker changed last, and its JSON
        self._versions: dict[str, tuple[int, bytes]] = {}
        self._updated_at = float("-inf")

    def is_due(self, now: float) -> bool:
        return now - self._updated_at >= STATUS_POLL_INTERVAL

    def update(self, workers: Mapping[str, bytes], now: float) -> None:
        self._updated_at = now
        previous = self._versions
        unchanged = {
            name: previous[name] for name, text in workers.items() if name in previous and previous[name][1] == text
        }
        if len(unchanged) < len(workers):
            self.version += 1
        self._versions = {name: unchanged.get(name, (self.version, text)) for name, text in workers.items()}

    def encode_since(self, version: int) -> bytes:
        """The workers that changed after this version, as JSON; empty if none did."""
        changed = [text for changed_in, text in self._versions.values() if changed_in > version]
        return b'{"workers":[%b]}' % b",".join(changed) if changed else b""


class StatusTracker:
    def __init__(self) -> None:
        #: increases when `StatusText.urgent_state` changes
        self.version = 0
        self.status_text = StatusText((), b"")
        #: the latest sequence number before the status was read
        self.sequence = 0
        self._updated_at = float("-inf")

    def is_due(self, now: float) -> bool:
        return now - self._updated_at >= STATUS_POLL_INTERVAL

    def update(self, status_text: StatusText, sequence: int, now: float) -> None:
        self._updated_at = now
        self.sequence = sequence
        if self.version == 0 or status_text.urgent_state != self.status_text.urgent_state:
            self.version += 1
        self.status_text = status_text


def read_due_status(
    backend: StreamBackend, *, workers: bool, status: bool, now: float
) -> tuple[Mapping[str, bytes] | None, StatusText | None]:
    """Workers and status, each None if not requested. Called in a thread. `now` is the time of day in epoch seconds.
    Raises StoreError."""
    return backend.encode_workers(now) if workers else None, backend.encode_status() if status else None
