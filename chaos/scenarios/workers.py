"""Faults of workers."""

import time

from chaos.run import Run


def run_calm(run: Run) -> None:
    """Nothing happens, with workers of three pools."""
    run.start()
    run.start_worker("prefork", "main", concurrency=3)
    if not run.short:
        run.start_worker("threads", "threads", pool="threads")
        run.start_worker("solo", "solo", pool="solo")
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    if not run.short:
        for queue in ("threads", "solo"):
            run.load.send_many(2, "quick", queue=queue)
            run.load.send("rest", 1, queue=queue)
            run.load.send("fail", queue=queue)
    run.wait_until_quiet()
    run.compare("end", after=10)


def kill_worker(run: Run) -> None:
    """kill -9 of a worker with tasks running, prefetched, acknowledged late and with an ETA; another takes over."""
    run.start(visibility=15)
    victim = run.start_worker("victim", "main", concurrency=2)
    run.start_monitors()
    if not run.short:
        run.load.send_mixed(run.wait_for_start)
        run.wait_until_quiet()
    running = [run.load.send("rest", 60), run.load.send("rest_late", 4 if run.short else 8)]
    for task_id in running:
        run.wait_for_start(task_id)
    run.load.send("rest", 5)
    run.load.send_many(4, "quick")
    run.load.send("rest_late", 2)
    run.load.send("quick", countdown=600)
    run.wait_for_ledger("prefetched tasks", lambda ledger: sum(map(_is_received, ledger.tasks.values())) >= 4)
    time.sleep(0.5)  # what a worker sent before its death is not what is tested
    victim.kill()
    run.log("worker killed")
    if run.short:
        run.compare("after the kill", after=30)
        return
    time.sleep(17)
    run.start_worker("heir", "main", concurrency=1)
    run.load.send("rest", 25)
    time.sleep(13)
    run.compare("30 s after the kill, the new worker is busy")
    run.wait_until_quiet()
    run.compare("10 s after the last task", after=10)


def _is_received(history: object) -> bool:
    return bool(history.find("received")) and not history.find("start")  # type: ignore[attr-defined]


def kill_pool_process(run: Run) -> None:
    """kill -9 of the pool processes of a worker in mid-task; the worker itself lives."""
    run.start()
    worker = run.start_worker("prefork", "main", concurrency=2)
    run.start_monitors()
    for _ in range(3):
        for task_id in run.load.send_many(2, "rest", 60):
            run.wait_for_start(task_id)
        import os
        import signal

        for pid in worker.pids() - {worker.pid}:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
    run.load.send_many(5, "quick")
    run.wait_until_quiet()
    run.compare("10 s after the last task", after=10)


def stop_worker(run: Run) -> None:
    """SIGSTOP of a worker for 40 s, then SIGCONT."""
    run.start()
    worker = run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    run.wait_until_quiet()
    for task_id in run.load.send_many(3, "rest", 4):
        run.wait_for_start(task_id)
    run.load.send_many(5, "quick")
    time.sleep(1)
    worker.freeze()
    time.sleep(30)
    run.compare("30 s into the stop")
    time.sleep(10)
    worker.unfreeze()
    run.wait_until_quiet()
    run.compare("after it continued", after=10)


def run_without_worker(run: Run) -> None:
    """Tasks are sent without any worker; then one starts and reads one of two queues."""
    run.start()
    run.start_monitors()
    run.load.send_many(10, "quick")
    run.load.send_many(10, "quick", queue="other")
    run.compare("before a worker started", after=15)
    run.start_worker("late", "main")
    run.wait_until_quiet()
    run.compare("20 s after a worker started", after=20)


def start_without_events(run: Run) -> None:
    """A worker takes all waiting tasks before events are enabled at it."""
    run.start()
    run.start_monitors()
    run.load.send_many(10, "quick")
    run.load.send_many(4, "rest", 0.5)
    worker = run.start_worker("silent", "main", "--without-heartbeat", events=False)
    run.wait_until_quiet()
    run.load.send_many(5, "quick")
    run.wait_until_quiet()
    run.compare("30 s after the last task", after=30)
    del worker


def shut_down_warmly(run: Run) -> None:
    """A worker ends on TERM with tasks prefetched and with ETA; later another reads one of its two queues."""
    run.start()
    worker = run.start_worker("first", "main", "other", concurrency=1)
    run.start_monitors()
    run.load.send_many(2, "quick")
    run.wait_for_start(run.load.send("rest", 6))
    for queue in ("main", "other"):
        run.load.send_many(3, "quick", queue=queue)
        run.load.send_many(2, "quick", queue=queue, countdown=600)
    time.sleep(1.5)
    worker.terminate()
    run.wait_for_exit(worker)
    run.compare("30 s after the shutdown", after=30)
    run.start_worker("second", "main")
    run.wait_until_quiet()
    run.compare("after another took one queue", after=15)


def run_twice(run: Run) -> None:
    """Visibility timeout of 5 s: tasks run twice at once, one of them with two different ends."""
    run.start(visibility=5)
    run.start_worker("first", "main", concurrency=4)
    run.start_worker("second", "main", concurrency=4)
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    run.wait_until_quiet()
    run.load.send_many(3, "rest_late", 22)
    run.load.send_many(2, "differ_late", 22)
    time.sleep(20)
    run.compare("while they run twice")
    run.wait_until_quiet()
    run.compare("30 s after the last run", after=30)


def change_clock(run: Run) -> None:
    """The clock of one worker is an hour ahead; then that worker is killed in mid-task."""
    run.start()
    worker = run.start_worker("ahead", "main", concurrency=2, clock="+3600")
    run.start_worker("right", "other", concurrency=2)
    run.start_monitors()
    run.load.send_mixed(run.wait_for_start)
    run.load.send_many(5, "quick", queue="other")
    run.load.send_many(2, "retry", queue="other")
    run.wait_until_quiet()
    run.compare("while it lives", after=10)
    for task_id in run.load.send_many(2, "rest", 90):
        run.wait_for_start(task_id)
    time.sleep(1)
    worker.kill()
    run.compare("35 s after it was killed", after=35)


def set_clock_back(run: Run) -> None:
    """The clock of a worker is set back by an hour while it runs tasks, and forward again."""
    run.start()
    worker = run.start_worker("moved", "main", concurrency=2, clock="+0")
    run.start_monitors()
    run.load.send_many(5, "quick")
    for clock in ("-3600", "+1800"):
        for task_id in run.load.send_many(2, "rest", 3):
            run.wait_for_start(task_id)
        run.load.send_many(3, "quick")
        worker.set_clock(clock)
        run.load.send_many(3, "quick")
        run.wait_until_quiet()
        run.load.send_many(2, "retry", 1, 0.5)
        run.load.send_many(2, "fail")
        run.wait_until_quiet()
    run.compare("20 s after the last task", after=20)
