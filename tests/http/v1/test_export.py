"""Route /export."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pyarrow.parquet
import pytest

from flower.errors import DeadlineExceeded, StoreDamaged
from flower.http.v1.openapi_examples import EXAMPLE_TASKS
from flower.records import Task
from flower.search.tree import EVERYTHING, Node
from flower.store.memory import MemoryReader, MemoryStore
from flower.store.protocols import Query
from tests.helpers.api_v1 import ClientOf
from tests.helpers.task_factory import make

URL = "/api/v1/export"


def test_whole_records(http: httpx.Client) -> None:
    response = http.get(URL)
    assert response.headers["content-type"] == "application/x-ndjson; charset=UTF-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="tasks-')
    assert response.headers["content-disposition"].endswith('.ndjson"')
    lines = response.content.rstrip(b"\n").split(b"\n")
    records = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    assert [record["uuid"] for record in records] == [task.uuid for task in EXAMPLE_TASKS]
    assert [record["received_at"] for record in records] == [task.received for task in EXAMPLE_TASKS]


def test_formats_columns_and_queries(http: httpx.Client) -> None:
    params = {"query": "state:FAILURE", "columns": "uuid,name", "format": "csv"}
    rows = list(csv.reader(io.StringIO(http.get(URL, params=params).text)))
    failed = [[task.uuid, task.name] for task in EXAMPLE_TASKS if task.state == "FAILURE"]
    assert rows == [["uuid", "name"], *failed]
    parquet = http.get(URL, params={**params, "format": "parquet"}).content
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).num_rows == len(failed)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"format": "xls"}, "format"),
        ({"columns": "nmae"}, "did you mean name"),
        ({"query": "(a"}, "Missing closing parenthesis"),
        ({"limit": "3"}, "limit"),
    ],
)
def test_invalid_parameters(http: httpx.Client, params: dict[str, str], words: str) -> None:
    response = http.get(URL, params=params)
    assert response.status_code == 400
    assert words in str(response.json()["error"])


def test_head_does_not_read(client_of: ClientOf) -> None:
    response = client_of(Failing(0)).head(URL)
    assert (response.status_code, response.content) == (200, b"")


class Failing(MemoryReader):
    """Reaches its deadline after a number of tasks."""

    def __init__(self, after: int) -> None:
        super().__init__(MemoryStore())
        self._after = after

    def tasks(self, query: Query, **settings: Any) -> Iterator[Task]:
        for number in range(self._after):
            yield make(number)
        raise DeadlineExceeded("The answer took longer than 10 s")


def test_error_before_the_first_task(client_of: ClientOf) -> None:
    response = client_of(Failing(0)).get(URL)
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "timeout"


def test_later_error_closes_the_connection(client_of: ClientOf) -> None:
    """A client does not take half a file for a complete one."""
    with pytest.raises(httpx.RemoteProtocolError):
        client_of(Failing(5_000)).get(URL)


class Damaged(MemoryReader):
    """Tasks in one file were found to be unreadable before the request, or are found to be during it."""

    def __init__(self, *, earlier: bool) -> None:
        super().__init__(MemoryStore())
        self._earlier = earlier

    def tasks(self, query: Query, **settings: Any) -> Iterator[Task]:
        yield from map(make, range(600))
        if settings["strict"] and not self._earlier:
            raise StoreDamaged("Tasks in seg-000001.db cannot be read")

    def explain_missing(self, where: Node = EVERYTHING) -> str | None:
        return "Tasks in damaged files are missing: seg-000001.db" if self._earlier else None


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_unreadable_tasks_close_the_connection(client_of: ClientOf, form: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client_of(Damaged(earlier=False)).get(URL, params={"format": form})


def test_unreadable_tasks_before_the_first_row_group_are_an_error(client_of: ClientOf) -> None:
    response = client_of(Damaged(earlier=False)).get(URL, params={"format": "parquet"})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "store_damaged"


def test_tasks_that_were_lost_before_are_reported_in_a_header(client_of: ClientOf) -> None:
    response = client_of(Damaged(earlier=True)).get(URL)
    assert response.content.count(b"\n") == 600
    assert response.headers["x-partial-result"] == "Tasks in damaged files are missing: seg-000001.db"
