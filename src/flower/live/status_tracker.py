"""How the workers, the recorder and the store are, and since which version. A version is given when something has
changed, so whoever saw an older one is told what is newer."""

from collections.abc import Mapping
from typing import Final

from flower.live.filters import StatusText, StreamBackend

#: Seconds between two looks.
STATUS_POLL_INTERVAL: Final = 1.0


class WorkerTracker:
    def __init__(self) -> None:
        self.version = 0
        self._versions: dict[str, tuple[int, bytes]] = {}
        self._updated_at = float("-inf")

    def is_due(self, now: float) -> bool:
        return now - self._updated_at >= STATUS_POLL_INTERVAL

    def update(self, found: Mapping[str, bytes], now: float) -> None:
        self._updated_at = now
        before = self._versions
        same = {name: before[name] for name, text in found.items() if name in before and before[name][1] == text}
        if len(same) < len(found):
            self.version += 1
        self._versions = {name: same.get(name, (self.version, text)) for name, text in found.items()}

    def encode_since(self, version: int) -> bytes:
        """Those that changed after this version, as JSON; empty if none did."""
        changed = [text for at, text in self._versions.values() if at > version]
        return b'{"workers":[%b]}' % b",".join(changed) if changed else b""


class StatusTracker:
    def __init__(self) -> None:
        #: grows when something starts or ends that people want to know at once
        self.version = 0
        self.status_text = StatusText((), b"")
        self._updated_at = float("-inf")

    def is_due(self, now: float) -> bool:
        return now - self._updated_at >= STATUS_POLL_INTERVAL

    def update(self, said: StatusText, now: float) -> None:
        self._updated_at = now
        if self.version == 0 or said.urgent_state != self.status_text.urgent_state:
            self.version += 1
        self.status_text = said


def read_due_status(
    source: StreamBackend, *, workers: bool, status: bool, now: float
) -> tuple[Mapping[str, bytes] | None, StatusText | None]:
    """What is wanted, read in a thread. `now` is the time of day. Raises StoreError."""
    return source.encode_workers(now) if workers else None, source.encode_status() if status else None
