"""The examples of docs/python-api.md run, in order, in one namespace, against a live worker."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from examples import run

from flower.records import Task
from flower.store.opening import open_writer
from flower.store.port import Batch
from workers.fixtures import Cluster

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)

RECORDED = [
    Task(uuid="order-17", name="shop.order", state="SUCCESS", hostname="celery@w1", args="(17,)", received=time.time()),
    Task(uuid="order-18", name="shop.order", state="FAILURE", exception="ValueError('card declined')", received=5.0),
]


def test_the_examples_run(
    redis_cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = open_writer("flower-data")
    writer.write(Batch(new=RECORDED))
    writer.close()
    blocks = BLOCK.findall(PAGE.read_text())
    namespace: dict[str, Any] = {
        "__name__": "example",
        "app": redis_cluster.app,
        "worker": redis_cluster.worker.hostname,
    }

    async def all_of_them() -> None:
        for code in blocks:
            await run(code, namespace)

    asyncio.run(all_of_them())
    assert len(blocks) == 11
    printed = capsys.readouterr().out
    for words in ("SUCCESS [17] celery@w1", "ValueError('card declined')", "new rate limit set successfully"):
        assert words in printed
    assert (namespace["count"], len(namespace["declined"]), list(namespace["failed"])) == (2, 1, ["order-18"])
