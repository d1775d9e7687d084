"""Faults of the monitor itself."""

import time
from collections.abc import Callable

from chaos.cluster import ChaosRedis
from chaos.monitors import Monitor
from chaos.run import Run, ScenarioNotRun


def _start(run: Run, *options: str) -> None:
    run.start()
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors(*options)


def _kill_repeatedly(run: Run, kill: Callable[[Monitor], bool], times: int = 3) -> None:
    """Under load; a monitor that ended is started again after 1 s."""
    with run.steady_load(10):
        time.sleep(4)
        for _ in range(times):
            run.load.send_many(2, "rest", 2)
            time.sleep(0.5)
            ended = [monitor for monitor in run.monitors if kill(monitor)]
            run.log("killed")
            time.sleep(1)
            for monitor in ended:
                monitor.start()
            time.sleep(3)
    run.wait_until_capturing()
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def kill_recorder(run: Run) -> None:
    """kill -9 of what records, three times, 4 s apart, under load."""
    _start(run)
    _kill_repeatedly(run, lambda monitor: monitor.kill_recorder())


def _kill_part(run: Run, word: str, title: str) -> None:
    _start(run)
    if not run.bellflower.find(word):
        raise ScenarioNotRun(f"Bellflower has no {title} process")
    run.monitors = [run.bellflower]

    def kill(monitor: Monitor) -> bool:
        for process in run.bellflower.find(word):
            process.kill()
        time.sleep(0.2)
        return not monitor.is_running

    _kill_repeatedly(run, kill)


def kill_index(run: Run) -> None:
    """kill -9 of the text index."""
    _kill_part(run, "flower.store.sqlite.text", "text index")


def kill_drain(run: Run) -> None:
    """kill -9 of the process that drains the broker."""
    _kill_part(run, "drain", "drain")


def kill_web_server(run: Run) -> None:
    """kill -9 of the web server, started again after 1 s, as by systemd."""
    _start(run)
    run.monitors = [run.bellflower]

    def kill(monitor: Monitor) -> bool:
        assert monitor.process is not None
        monitor.process.kill()
        monitor.process.wait(10)
        return True

    _kill_repeatedly(run, kill)


def kill_monitor(run: Run) -> None:
    """kill -9 of all processes of the monitor under load; started again after 5 s."""
    _start(run)
    if not run.short:
        run.load.send_mixed(run.wait_for_start)
    with run.steady_load(10):
        time.sleep(1 if run.short else 3)
        run.load.send_many(2, "rest", 2)
        time.sleep(0.5)
        for monitor in run.monitors:
            monitor.kill()
        run.log("killed")
        time.sleep(2.5 if run.short else 5)
        for monitor in run.monitors:
            monitor.start()
        time.sleep(1 if run.short else 4)
    run.wait_until_capturing()
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def stop_monitor(run: Run) -> None:
    """SIGSTOP of all processes of the monitor for 20 s at 30 tasks/s."""
    _start(run)
    with run.steady_load(30):
        time.sleep(3)
        for monitor in run.monitors:
            monitor.freeze()
        time.sleep(20)
        for monitor in run.monitors:
            monitor.unfreeze()
        time.sleep(2)
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def stop_monitor_and_drop(run: Run) -> None:
    """The same, and Redis closes the connections of the monitor after 5 s, as it does with slow subscribers."""
    _start(run)
    assert isinstance(run.broker, ChaosRedis)
    with run.steady_load(30):
        time.sleep(3)
        for monitor in run.monitors:
            monitor.freeze()
        time.sleep(5)
        run.notes.append(f"{_close_subscribers(run.broker)} connections of subscribers were closed")
        time.sleep(15)
        for monitor in run.monitors:
            monitor.unfreeze()
        time.sleep(2)
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def _close_subscribers(broker: ChaosRedis) -> int:
    """Workers subscribe to the channel of remote control; those connections stay open."""
    closed = 0
    with broker.client as client:
        for connection in client.client_list(_type="pubsub"):
            if int(connection["psub"]) and not int(connection["sub"]):
                closed += int(client.client_kill_filter(_id=connection["id"]))
    return closed


def _leave_down(run: Run, *options: str) -> None:
    _start(run, *options)
    run.load.send_many(2, "rest", 6)
    run.load.send_many(2, "quick", countdown=10)
    time.sleep(1)
    for monitor in run.monitors:
        monitor.stop()
    run.log("monitors stopped")
    run.load.send_mixed(run.wait_for_start)
    time.sleep(45)
    for monitor in run.monitors:
        monitor.start()
    run.wait_until_capturing()
    run.wait_until_quiet()
    run.compare("20 s after the last task", after=20)


def leave_down(run: Run) -> None:
    """The monitor is stopped in good order for 45 s while tasks begin, run and end."""
    _leave_down(run)


def leave_down_long(run: Run) -> None:
    """The same, and the queue in which RabbitMQ keeps the events expires meanwhile."""
    _leave_down(run, "--event_queue_expires=5")


def kill_monitor_for_a_minute(run: Run) -> None:
    """kill -9 of all processes of the monitor; started again after a minute."""
    _start(run)
    with run.steady_load(10):
        time.sleep(3)
        for monitor in run.monitors:
            monitor.kill()
        time.sleep(30)
    time.sleep(30)
    for monitor in run.monitors:
        monitor.start()
    run.wait_until_capturing()
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)


def restart_monitor(run: Run) -> None:
    """A planned restart under load, as in an upgrade."""
    _start(run)
    with run.steady_load(20):
        time.sleep(4)
        for monitor in run.monitors:
            monitor.stop()
            monitor.start()
        time.sleep(6)
    run.wait_until_capturing()
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)
