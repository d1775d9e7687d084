"""SQLAlchemy as result backend: one row per task. Celery's own session would create tables; this one reads only."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from flower.reconcile.connections import NETWORK_TIMEOUT
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import StoredResult
from flower.reconcile.results.entry_parser import ResultParser
from flower.reconcile.results.protocol import TimeWindow

log = logging.getLogger(__name__)

#: Rows that one search reads, at most, and seconds between two pages.
MAX_ROWS: Final = 200_000
PAGE_DELAY: Final = 0.1

#: The largest difference between a local time without a zone and UTC.
_ZONE_MARGIN: Final = timedelta(hours=14)

_COLUMNS: Final = ("task_id", "status", "result", "date_done", "traceback")
_EXTENDED_COLUMNS: Final = ("name", "args", "kwargs", "worker", "retries", "queue")

#: Arguments that limit connecting and reading, by driver. libpq has no limit for reading: the server limits the
#: statement, and the kernel a connection without acknowledgements.
_LIBPQ: Final[Mapping[str, Any]] = {
    "connect_timeout": int(NETWORK_TIMEOUT),
    "options": f"-c statement_timeout={int(NETWORK_TIMEOUT * 1000)}",
    "tcp_user_timeout": int(NETWORK_TIMEOUT * 1000),
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
_MYSQL: Final[Mapping[str, Any]] = dict.fromkeys(
    ("connect_timeout", "read_timeout", "write_timeout"), int(NETWORK_TIMEOUT)
)
_TIMEOUTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pg8000": {"timeout": int(NETWORK_TIMEOUT)},
    "mysqldb": _MYSQL,
    "pymysql": _MYSQL,
    "mysqlconnector": {"connection_timeout": int(NETWORK_TIMEOUT)},
    "pysqlite": {"timeout": NETWORK_TIMEOUT},
}


class SqlAlchemyResults:
    """Reads entries with SELECT … IN, and searches them by date."""

    batch_size = 1_000

    def __init__(self, backend: Any, parser: ResultParser, cost: ReconcileCost) -> None:
        self._backend, self._parser, self._cost = backend, parser, cost
        url = make_url(backend.url)
        options = {key: value for key, value in backend.engine_options.items() if key != "connect_args"}
        arguments = {**_TIMEOUTS.get(url.get_driver_name(), {}), **backend.engine_options.get("connect_args", {})}
        self._engine = sa.create_engine(url, **options, connect_args=arguments)
        self._table: Any = None

    def fetch(self, uuids: Sequence[str]) -> dict[str, StoredResult]:
        if not uuids:
            return {}
        table = self._read_table()
        if table is None:
            return {}
        query = sa.select(table).where(table.c.task_id.in_(list(uuids)))
        return {result.uuid: result for result in self._read(query)}

    def search(
        self, window: TimeWindow, is_wanted: Callable[[str], bool], stop: Callable[[], bool]
    ) -> Iterator[list[StoredResult]]:
        table = self._read_table()
        if table is None:
            return
        # The zone of the column is that of the application, or UTC: the parser decides for each row.
        start = datetime.fromtimestamp(window.start, UTC).replace(tzinfo=None) - _ZONE_MARGIN
        end = datetime.fromtimestamp(window.end, UTC).replace(tzinfo=None) + _ZONE_MARGIN
        if self._parser.is_utc:
            start, end = start + _ZONE_MARGIN, end - _ZONE_MARGIN
        last_id, rows = 0, 0
        while not stop() and rows < MAX_ROWS:
            query = (
                sa.select(table)
                .where(table.c.date_done.between(start, end), table.c.id > last_id)
                .order_by(table.c.id)
                .limit(self.batch_size)
            )
            page = self._read_rows(query)
            if not page:
                return
            last_id, rows = page[-1]["id"], rows + len(page)
            results = self._parse([row for row in page if is_wanted(row["task_id"])])
            yield [result for result in results if window.contains(result.ended)]
            if len(page) < self.batch_size:
                return
            time.sleep(PAGE_DELAY)

    def close(self) -> None:
        self._engine.dispose()

    def _read_table(self) -> Any:
        """The table with the columns that it has; None if it does not exist yet."""
        if self._table is None:
            model = self._backend.task_cls.__table__
            inspector = sa.inspect(self._engine)
            if not inspector.has_table(model.name, schema=model.schema):
                return None
            existing = {column["name"] for column in inspector.get_columns(model.name, schema=model.schema)}
            wanted = ("id", *_COLUMNS, *_EXTENDED_COLUMNS)
            columns = [sa.Column(name, _type_of(model, name)) for name in wanted if name in existing]
            self._table = sa.Table(model.name, sa.MetaData(), *columns, schema=model.schema)
        return self._table

    def _read(self, query: Any) -> list[StoredResult]:
        return self._parse(self._read_rows(query))

    def _read_rows(self, query: Any) -> list[dict[str, Any]]:
        self._cost.backend_requests += 1
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _parse(self, rows: Sequence[Mapping[str, Any]]) -> list[StoredResult]:
        observed_at = time.time()
        results = []
        for row in rows:
            meta = dict(row)
            try:
                for field in ("result", "args", "kwargs"):
                    if meta.get(field) is not None:
                        meta[field] = self._backend.decode(meta[field])
            except Exception:  # a decoder may raise anything
                log.debug("reconcile: the result of %s cannot be decoded", row["task_id"], exc_info=True)
                continue
            if (result := self._parser.parse(str(meta["task_id"]), meta, observed_at)) is not None:
                results.append(result)
        return results


def _type_of(model: Any, name: str) -> Any:
    column = model.c.get(name)
    if column is not None:
        return column.type
    return sa.LargeBinary() if name in ("args", "kwargs") else sa.Integer() if name == "retries" else sa.String()
