"""Redis as result backend, also with TLS and Sentinel: one key per task."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import StoredResult
from flower.reconcile.rate_limit import TokenBucket
from flower.reconcile.results.key_value import EntryDecoder
from flower.reconcile.results.protocol import TimeWindow

#: Keys by SCAN request, and entries by MGET of a search.
SCAN_COUNT: Final = 1_000
#: Keys that one search visits, and entries that it reads, at most.
MAX_KEYS: Final = 5_000_000
MAX_ENTRIES: Final = 200_000
#: Keys per second that a search visits, and entries per second that it reads.
SCAN_RATE: Final = 100_000.0
READ_RATE: Final = 5_000.0


class RedisResults:
    """Reads entries with MGET, and searches them with SCAN."""

    batch_size = 1_000

    def __init__(self, backend: Any, decoder: EntryDecoder, cost: ReconcileCost) -> None:
        self._backend, self._decoder, self._cost = backend, decoder, cost

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        if not uuids:
            return {}
        observed_at = time.time()
        contents = self._backend.client.mget([self._backend.get_key_for_task(uuid) for uuid in uuids])
        self._cost.backend_requests += 1
        return {
            uuid: result
            for uuid, content in zip(uuids, contents, strict=True)
            if content is not None and (result := self._decoder.decode(uuid, content, observed_at)) is not None
        }

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        prefix = self._backend.task_keyprefix
        prefix = prefix if isinstance(prefix, bytes) else prefix.encode()
        scan_bucket = TokenBucket(SCAN_RATE, SCAN_RATE)
        read_bucket = TokenBucket(READ_RATE, 2 * READ_RATE)
        cursor, visited, read = 0, 0, 0
        while not stop():
            cursor, keys = self._backend.client.scan(cursor, match=_escape(prefix) + b"*", count=SCAN_COUNT)
            self._cost.backend_requests += 1
            visited += SCAN_COUNT
            ids = [key[len(prefix) :].decode("utf-8", "surrogateescape") for key in keys]
            wanted = [uuid for uuid in dict.fromkeys(ids) if uuid and is_wanted(uuid)]
            if wanted:
                read += len(wanted)
                time.sleep(read_bucket.take(len(wanted)))
                yield [result for result in self.fetch(wanted).values() if window.contains(result.ended)]
            if not int(cursor) or visited >= MAX_KEYS or read >= MAX_ENTRIES:
                return
            time.sleep(scan_bucket.take(SCAN_COUNT))

    def close(self) -> None:
        self._backend.client.close()


def _escape(prefix: bytes) -> bytes:
    """The prefix as a pattern of SCAN that matches itself only."""
    return b"".join(b"\\" + bytes([char]) if char in b"*?[]\\^" else bytes([char]) for char in prefix)
