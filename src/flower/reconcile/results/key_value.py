"""Every other backend of Celery: one request per id, through Celery's own code, and no search."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import StoredResult
from flower.reconcile.results.entry_parser import ResultParser
from flower.reconcile.results.protocol import TimeWindow


class EntryDecoder:
    """Decodes entries with the serializers that the application accepts."""

    def __init__(self, backend: Any, parser: ResultParser) -> None:
        self._backend, self._parser = backend, parser

    def decode(self, uuid: str, content: Any, observed_at: float) -> StoredResult | None:
        """None if the entry cannot be decoded, for instance because it is pickled and pickle is not accepted."""
        try:
            meta = self._backend.decode(content)
        except Exception:  # noqa: BLE001  a decoder may raise anything
            return None
        return self._parser.parse(uuid, meta, observed_at) if isinstance(meta, Mapping) else None


class SingleResults:
    """Reads one entry at a time."""

    #: limits the time that a batch takes
    batch_size = 100

    def __init__(self, backend: Any, decoder: EntryDecoder, parser: ResultParser, cost: ReconcileCost) -> None:
        self._backend, self._decoder, self._parser, self._cost = backend, decoder, parser, cost

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        results = {}
        for uuid in uuids:
            self._cost.backend_requests += 1
            result = self._fetch_one(uuid)
            if result is not None:
                results[uuid] = result
        return results

    def _fetch_one(self, uuid: str) -> StoredResult | None:
        observed_at = time.time()
        if hasattr(self._backend, "get_key_for_task"):
            content = self._backend.get(self._backend.get_key_for_task(uuid))
            return None if content is None else self._decoder.decode(uuid, content, observed_at)
        meta = self._backend._get_task_meta_for(uuid)
        # Celery returns PENDING for an id without an entry.
        return None if meta.get("status") in (None, "PENDING") else self._parser.parse(uuid, meta, observed_at)

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        return iter(())

    def close(self) -> None:
        """Nothing to close: Celery owns the connection."""
