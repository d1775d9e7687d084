"""kill -9 of one or all processes at random times: tasks that were visible stay visible."""

import random
import signal
import time

from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import BrokerServer, wait_for

ROUNDS = 8
#: A task may only advance in this order.
STATE_ORDER = ("RECEIVED", "STARTED", "SUCCESS")


def assert_no_state_regressed(before: dict[str, str], after: dict[str, str]) -> None:
    assert not before.keys() - after.keys()
    for uuid, state in before.items():
        assert STATE_ORDER.index(after[uuid]) >= STATE_ORDER.index(state)


def kill_random_process(product: Product, rng: random.Random) -> None:
    victim = rng.choice(["all", "recorder", "web"])
    recorder = product.recorder()
    if victim == "recorder" and recorder is not None:
        recorder.send_signal(signal.SIGKILL)
        recorder.wait(60)
    elif victim == "web":
        assert product.process is not None
        product.process.kill()
        product.process.wait(60)
        product.start()
    else:
        product.kill()
        product.start()


def kill_repeatedly(server: BrokerServer, product: Product, seed: int) -> Stream:
    rng = random.Random(seed)
    product.wait_until_capturing()
    with Stream(server.url) as stream:
        for _ in range(ROUNDS):
            time.sleep(rng.uniform(0.1, 1.0))
            before = product.states()
            kill_random_process(product, rng)
            assert_no_state_regressed(before, product.states())
            product.wait_until_capturing()
    return stream


def test_all_events_arrive(broker: BrokerServer) -> None:
    """On RabbitMQ its queue keeps the events, on Redis the drain process, which is in none of the killed groups."""
    with Product(broker.url) as product:
        stream = kill_repeatedly(broker, product, seed=1)

        def all_succeeded() -> bool:
            states = product.states()
            return all(states.get(uuid) == "SUCCESS" for uuid in stream.sent)

        assert len(stream.sent) > 1000
        wait_for("all tasks", all_succeeded)
        assert product.get("/api/v1/gaps")["gaps"] == []
