"""What the web server does after its start, before requests need it."""

from pathlib import Path

from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for

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
