"""How the workers, the recorder and the store are, and since which version. A version is given when something has
changed, so whoever saw an older one is told what is newer."""

from collections.abc import Mapping
from typing import Final

from flower.live.source import Said, Source

#: Seconds between two looks.
LOOK_EVERY: Final = 1.0


class Workers:
    def __init__(self) -> None:
        self.version = 0
        self._known: dict[str, tuple[int, bytes]] = {}
        self._at = float("-inf")

    def due(self, now: float) -> bool:
        return now - self._at >= LOOK_EVERY

    def update(self, found: Mapping[str, bytes], now: float) -> None:
        self._at = now
        before = self._known
        same = {name: before[name] for name, text in found.items() if name in before and before[name][1] == text}
        if len(same) < len(found):
            self.version += 1
        self._known = {name: same.get(name, (self.version, text)) for name, text in found.items()}

    def since(self, version: int) -> bytes:
        """Those that changed after this version, as JSON; empty if none did."""
        changed = [text for at, text in self._known.values() if at > version]
        return b'{"workers":[%b]}' % b",".join(changed) if changed else b""


class Status:
    def __init__(self) -> None:
        #: grows when something starts or ends that people want to know at once
        self.version = 0
        self.said = Said((), b"")
        self._at = float("-inf")

    def due(self, now: float) -> bool:
        return now - self._at >= LOOK_EVERY

    def update(self, said: Said, now: float) -> None:
        self._at = now
        if self.version == 0 or said.state != self.said.state:
            self.version += 1
        self.said = said


def look(source: Source, *, workers: bool, status: bool, now: float) -> tuple[Mapping[str, bytes] | None, Said | None]:
    """What is wanted, read in a thread. `now` is the time of day. Raises StoreError."""
    return source.workers(now) if workers else None, source.status() if status else None
