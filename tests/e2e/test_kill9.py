"""kill -9 of any or all of our processes at random moments, many times: what was visible stays."""

import random
import signal
import time

from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import RabbitMQ, Redis, Server, wait_for

ROUNDS = 8
#: A state may only move on.
ORDER = ("RECEIVED", "STARTED", "SUCCESS")


def check_nothing_went_back(before: dict[str, str], after: dict[str, str]) -> None:
    assert not before.keys() - after.keys()
    for uuid, state in before.items():
        assert ORDER.index(after[uuid]) >= ORDER.index(state)


def kill_something(product: Product, rnd: random.Random) -> None:
    victim = rnd.choice(["all", "recorder", "web"])
    recorder = product.recorder()
    if victim == "recorder" and recorder is not None:
        recorder.send_signal(signal.SIGKILL)
        recorder.wait(10)
    elif victim == "web":
        assert product.process is not None
        product.process.kill()
        product.process.wait(10)
        product.start()
    else:
        product.kill()
        product.start()


def keep_killing(server: Server, product: Product, seed: int) -> Stream:
    rnd = random.Random(seed)
    product.wait_until_capturing()
    with Stream(server.url) as stream:  # type: ignore[attr-defined]
        for _ in range(ROUNDS):
            time.sleep(rnd.uniform(0.1, 1.0))
            before = product.states()
            kill_something(product, rnd)
            check_nothing_went_back(before, product.states())
            product.wait_until_capturing()
    return stream


def test_on_redis(redis_server: Redis) -> None:
    with Product(redis_server.url) as product:
        stream = keep_killing(redis_server, product, seed=1)
        # The rest arrives too: what was sent while somebody listened.
        wait_for("the end of the stream", lambda: product.states().get(stream.sent[-1]) == "SUCCESS", 20)


def test_on_rabbitmq_even_what_was_sent_meanwhile_arrives(rabbitmq_server: RabbitMQ) -> None:
    with Product(rabbitmq_server.url) as product:
        stream = keep_killing(rabbitmq_server, product, seed=2)

        def everything() -> bool:
            states = product.states()
            return all(states.get(uuid) == "SUCCESS" for uuid in stream.sent)

        assert len(stream.sent) > 1000
        wait_for("everything that was sent", everything, 30)
