"""django-celery-results as result backend. Needs DJANGO_SETTINGS_MODULE; Django is set up when it is first read."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import StoredResult
from flower.reconcile.results.entry_parser import ResultParser
from flower.reconcile.results.protocol import TimeWindow

log = logging.getLogger(__name__)

#: Rows that one search reads, at most, and seconds between two pages.
MAX_ROWS: Final = 200_000
PAGE_DELAY: Final = 0.1

_FIELDS: Final = (
    "task_id", "status", "result", "content_type", "content_encoding", "date_done", "traceback", "task_name",
    "task_args", "task_kwargs", "worker",
)  # fmt: skip


class DjangoResults:
    """Reads entries with the ORM of Django."""

    batch_size = 1_000

    def __init__(self, backend: Any, parser: ResultParser, cost: ReconcileCost) -> None:
        self._backend, self._parser, self._cost = backend, parser, cost

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        rows = self._read(self._rows().filter(task_id__in=list(uuids))) if uuids else []
        return {result.uuid: result for result in self._parse(rows)}

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        start, end = (datetime.fromtimestamp(moment, UTC) for moment in window)
        last_id, rows = 0, 0
        while not stop() and rows < MAX_ROWS:
            query = self._rows().filter(date_done__gte=start, date_done__lte=end, id__gt=last_id).order_by("id")
            page = self._read(query[: self.batch_size])
            if not page:
                return
            last_id, rows = page[-1]["id"], rows + len(page)
            yield self._parse([row for row in page if is_wanted(row["task_id"])])
            if len(page) < self.batch_size:
                return
            time.sleep(PAGE_DELAY)

    def close(self) -> None:
        from django.db import connections  # noqa: PLC0415 - needs Django's settings

        connections.close_all()

    def _rows(self) -> Any:
        return self._backend.TaskModel._default_manager.values("id", *_FIELDS)

    def _read(self, query: Any) -> list[dict[str, Any]]:
        from django.db import close_old_connections  # noqa: PLC0415 - needs Django's settings

        close_old_connections()
        self._cost.backend_requests += 1
        return list(query)

    def _parse(self, rows: Sequence[dict[str, Any]]) -> list[StoredResult]:
        observed_at = time.time()
        results = []
        for row in rows:
            meta = {**row, "name": row["task_name"], "args": row["task_args"], "kwargs": row["task_kwargs"]}
            try:
                meta["result"] = self._backend.decode_content(_Content(row), row["result"])
                for field in ("args", "kwargs"):
                    meta[field] = _decode_arguments(self._backend, row, meta[field])
            except Exception:  # a decoder may raise anything
                log.debug("reconcile: the result of %s cannot be decoded", row["task_id"], exc_info=True)
                continue
            if (result := self._parser.parse(row["task_id"], meta, observed_at)) is not None:
                results.append(result)
        return results


class _Content:
    """The attributes of a row that Django's backend reads when it decodes a value."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.content_type, self.content_encoding = row["content_type"], row["content_encoding"]


def _decode_arguments(backend: Any, row: dict[str, Any], text: str | None) -> Any:
    """Arguments are stored as the text of their text, encoded."""
    return None if text is None else backend.decode_content(_Content(row), text)
