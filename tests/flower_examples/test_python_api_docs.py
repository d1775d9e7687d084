"""The examples of docs/python-api.md run, in order, in one namespace, against a live worker."""

import asyncio
import re
import time
from dataclasses import dataclass
from inspect import isfunction
from pathlib import Path
from typing import Any

import pytest

from flower.api import queries
from flower.http.v1.openapi_examples import example_store
from flower.records import Task
from flower.store.factory import open_writer
from flower.store.protocols import Batch, Reader
from tests.helpers.clusters import Cluster
from tests.helpers.example_runner import run
from tests.helpers.paths import DOCS

PAGE = DOCS / "python-api.md"
#: The section that needs only recorded tasks.
ASKING = "Query the store"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)

RECORDED = [
    Task(uuid="order-17", name="shop.order", state="SUCCESS", hostname="celery@w1", args="(17,)", received=time.time()),
    Task(uuid="add-1", name="shop.add", state="FAILURE", args="(1, 2)", kwargs="{}", queue="celery", received=4.0),
    Task(uuid="order-18", name="shop.order", state="FAILURE", exception="ValueError('card declined')", received=5.0),
]


def sections() -> list[tuple[str, str]]:
    """Title and text of each section of the page."""
    parts = PAGE.read_text().split("\n## ")
    return [(part.partition("\n")[0], part) for part in parts]


def test_examples_run(
    redis_cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = open_writer("flower-data")
    writer.write(Batch(new=RECORDED))
    writer.close()
    blocks = [code for title, part in sections() for code in BLOCK.findall(part) if title != ASKING]
    namespace: dict[str, Any] = {
        "__name__": "example",
        "app": redis_cluster.app,
        "worker": redis_cluster.worker.hostname,
    }

    async def all_of_them() -> None:
        for code in blocks:
            await run(code, namespace)

    asyncio.run(all_of_them())
    assert len(blocks) == 12
    printed = capsys.readouterr().out
    for words in (
        "SUCCESS [17] celery@w1",
        "ValueError('card declined')",
        "new rate limit set successfully",
        "finished {'done': 1} sent as",
    ):
        assert words in printed
    assert (namespace["count"], len(namespace["declined"]), list(namespace["failed"])) == (
        3,
        1,
        ["order-18", "add-1"],
    )


def test_examples_of_queries_run(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Watch:
        store: Reader

    namespace: dict[str, Any] = {"__name__": "example", "events": Watch(example_store())}
    blocks = BLOCK.findall(dict(sections())[ASKING])
    assert len(blocks) == 3
    for code in blocks:
        exec(compile(code, str(PAGE), "exec"), namespace)
    printed = capsys.readouterr().out
    for words in (
        "['charge-18'] None",
        "shop.charge 1",
        "CardDeclined card of order # declined",
        "   shop.charge SUCCESS 1.0",
    ):
        assert words in printed
    assert namespace["result"].partial is None
    assert [issue.kind for issue in namespace["state"].issues][:1] == ["recorder_stopped"]


def test_every_query_function_is_documented() -> None:
    named = {
        name for name, value in vars(queries).items() if isfunction(value) and value.__module__ == queries.__name__
    }
    page = PAGE.read_text()
    missing = [name for name in named if not name.startswith("_") and f"`{name}" not in page]
    assert not missing
