"""What the web server does after its start, before requests need it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flower.search.tree import EVERYTHING
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Sort
from flower.store.sqlite.connection_pool import SegmentPool
from flower.web.preparation import prepare_sorting
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for
from tests.helpers.task_factory import make

#: Writes the numbers of objects that are excluded from garbage collection and that are not.
APPLICATION = """
import gc, os, threading, time
from pathlib import Path

from celery import Celery

app = Celery(broker=os.environ["SHOP_BROKER"])


def report():
    while not gc.get_freeze_count():
        time.sleep(0.05)
    counts = f"{gc.get_freeze_count()} {len(gc.get_objects())}"
    Path("new").write_text(counts)
    os.replace("new", f"counts-{os.getpid()}")


threading.Thread(target=report, daemon=True).start()
"""


class ProductInFolder(Product):
    def command(self) -> list[str]:
        command = super().command()
        command[command.index("-A") + 1] = "monitored"
        return [*command[:3], f"--workdir={self.folder}", *command[3:]]


def test_loaded_modules_are_excluded_from_garbage_collection(redis_server: Redis) -> None:
    """A full collection that examines them pauses all requests for about 100 ms."""
    product = ProductInFolder(redis_server.url)
    Path(product.folder, "monitored.py").write_text(APPLICATION)
    with product:
        assert product.process is not None
        written = Path(product.folder, f"counts-{product.process.pid}")
        wait_for("the numbers", written.exists)
        excluded, others = map(int, written.read_text().split())
    assert excluded > 20 * others


def test_the_first_page_by_name_opens_one_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words were read from all segments before."""
    with closing(open_writer(tmp_path / "data", segment_tasks=3_000, text_index=False)) as writer:
        writer.write(Batch(new=[make(number) for number in range(9_000)]))
    opened: list[int] = []
    acquire = SegmentPool.acquire

    @contextmanager
    def count(pool: SegmentPool, entry: Any, deadline: Any) -> Iterator[Any]:
        opened.append(entry.number)
        with acquire(pool, entry, deadline) as segment:
            yield segment

    monkeypatch.setattr(SegmentPool, "acquire", count)
    with closing(open_reader(tmp_path / "data")) as reader:
        prepare_sorting(reader)
        assert set(opened) == {1, 2, 3}
        opened.clear()
        reader.task_page(Query(EVERYTHING, (Sort("name"),)), limit=1)
        assert opened == [1]
