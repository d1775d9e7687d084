"""Faults of the broker and of the network to it."""

import signal
import time

from chaos.run import Run


def _fill(run: Run) -> None:
    """Tasks that run, are held for later and wait."""
    run.load.send_many(2, "rest", 8)
    run.load.send_many(4, "quick")
    run.load.send_many(4, "quick", countdown=20)
    run.load.send_many(2, "quick", countdown=600)
    run.load.send_many(12, "quick", queue="idle")
    time.sleep(1)


def restart_broker(run: Run) -> None:
    """The broker is gone for 5 s under load and keeps its data."""
    run.start(persistent=True)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    with run.steady_load(10):
        time.sleep(4)
        _fill(run)
        run.restart_broker(5)
        time.sleep(6)
    time.sleep(20)
    run.wait_until_quiet()
    run.compare("50 s after the restart", after=20)


def kill_broker(run: Run) -> None:
    """kill -9 of the broker under load; started again after 5 s with what it had written to its disk."""
    run.start(persistent=True)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    with run.steady_load(10):
        time.sleep(4)
        _fill(run)
        run.restart_broker(5, number=signal.SIGKILL)
        time.sleep(6)
    time.sleep(20)
    run.wait_until_quiet()
    run.compare("50 s after the restart", after=20)


def restart_broker_without_memory(run: Run) -> None:
    """The same without persistence: what waited is gone."""
    run.start(persistent=False)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    with run.steady_load(10):
        time.sleep(4)
        _fill(run)
        run.restart_broker(5)
        time.sleep(6)
    time.sleep(20)
    run.wait_until_quiet()
    run.compare("50 s after the restart", after=20)


def purge(run: Run) -> None:
    """Waiting tasks are purged: of a queue without a worker, and behind a busy worker."""
    run.start()
    run.start_worker("prefork", "main", concurrency=1)
    run.start_monitors()
    run.load.send_many(4, "quick")
    run.wait_for_start(run.load.send("rest", 5))
    run.load.send_many(10, "quick")
    run.load.send_many(6 if run.short else 15, "quick", queue="idle")
    time.sleep(1)
    run.purge("idle")
    run.purge("main")
    run.wait_until_quiet()
    run.compare("45 s after the purge", after=40)


def cut_network(run: Run) -> None:
    """The network between monitor and broker drops all packets for 25 s under load; connections are lost."""
    run.start(proxy=True)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    assert run.proxy is not None
    with run.steady_load(10):
        time.sleep(4)
        run.load.send_many(2, "rest", 12)
        with run.interruption():
            run.proxy.stop()
            run.log("network cut")
            time.sleep(25)
            run.compare("25 s into the cut")
        run.proxy.resume()
        run.log("network restored")
        time.sleep(4)
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def cut_link(run: Run) -> None:
    """The monitor runs in a network namespace; its link to the broker is down for 25 s under load. No connection is
    reset: the kernel sends again what was lost."""
    run.start(namespace=True)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    assert run.namespace is not None
    with run.steady_load(10):
        time.sleep(4)
        run.load.send_many(2, "rest", 12)
        with run.interruption():
            run.namespace.cut()
            run.log("link cut")
            time.sleep(25)
            run.compare("25 s into the cut")
            run.namespace.restore()
        run.log("link restored")
        time.sleep(4)
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def slow_network(run: Run) -> None:
    """The network between monitor and broker delays everything by 0.5 s and carries 20 kB/s."""
    run.start(proxy=True)
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    assert run.proxy is not None
    run.proxy.delay, run.proxy.rate = 0.5, 20_000
    with run.steady_load(10):
        time.sleep(20)
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)
