"""Hypothesis strategies: random event sequences of one task, in the order and with the times of a worker."""

from typing import Any

from hypothesis import strategies as st

Fields = dict[str, Any]

UUID = "6f3c0e9a-7d41-4f0b-9a55-0d2f5be0c001"
HOSTS = ("celery@one", "celery@two")


@st.composite
def orderly(draw: st.DrawFn) -> list[Fields]:
    """sent? received (started progress* retried received)* and optionally a final event."""
    clock = draw(st.integers(1, 1000))
    now = draw(st.floats(1.5e9, 2e9))
    events: list[Fields] = []

    def add_event(kind: str, hostname: str, **fields: Any) -> None:
        nonlocal clock, now
        now += draw(st.floats(0.001, 50))
        clock += draw(st.integers(1, 5))
        events.append(
            {"type": kind, "uuid": UUID, "hostname": hostname, "timestamp": now, "clock": clock, "pid": 7, **fields}
        )

    description = {
        "name": draw(st.sampled_from(["mail.send", "shop.order"])),
        "args": "(1, 'a')",
        "kwargs": "{'order': 17}",
        "root_id": UUID,
        "parent_id": None,
        "eta": None,
        "expires": None,
    }
    if draw(st.booleans()):
        add_event("task-sent", "gen1@web", **description, retries=0, queue="mail", exchange="", routing_key="mail")
    attempts = draw(st.integers(1, 4))
    for number in range(attempts):
        host = draw(st.sampled_from(HOSTS))
        add_event("task-received", host, **description, retries=number)
        if number < attempts - 1:
            add_event("task-started", host)
            add_event("task-retried", host, exception=f"OSError({number})", traceback=f"Traceback {number}")
    end = draw(st.sampled_from(["received", "started", "succeeded", "failed", "revoked", "terminated", "progress"]))
    if end in ("started", "succeeded", "failed", "terminated", "progress"):
        add_event("task-started", host)
    if (end == "progress" or draw(st.booleans())) and end in ("succeeded", "failed", "progress"):
        add_event("task-progress", host)
    if end == "succeeded":
        add_event("task-succeeded", host, result="'ok'")
        started = max(each["timestamp"] for each in events if each["type"] == "task-started")
        events[-1]["runtime"] = events[-1]["timestamp"] - started
    elif end == "failed":
        add_event("task-failed", host, exception="KeyError('x')", traceback="Traceback last")
    elif end in ("revoked", "terminated"):
        add_event("task-revoked", host, terminated=end == "terminated", signum=15, expired=False)
    return events


@st.composite
def deliveries(draw: st.DrawFn) -> list[Fields]:
    """The events of a task with retries, deliveries to several workers, double runs and repeated use of its id, in
    order of time. Deliveries that overlap are at different workers, whose clocks agree."""
    events: list[Fields] = []
    now = draw(st.floats(1.5e9, 2e9)) // 1

    def later(least: float = 0.5) -> float:
        nonlocal now
        now += least + draw(st.integers(0, 40)) / 8
        return now

    def add_event(kind: str, at: float, hostname: str, pid: int, **fields: Any) -> None:
        at += len(events) / 1024  # no two times are equal
        events.append(
            {"type": f"task-{kind}", "uuid": UUID, "hostname": hostname, "timestamp": at, "pid": pid, **fields}
        )

    sends = draw(st.booleans())
    pids = {"celery@a": 7, "celery@b": 8, "celery@c": 9}
    for run in range(draw(st.integers(1, 3))):
        description = {"name": f"run.{run}", "args": f"({run},)", "kwargs": "{}", "root_id": UUID}
        levels = draw(st.integers(1, 3))
        for retries in range(levels):
            if sends:
                add_event("sent", later(5), "gen1@web", 1, **description, retries=retries, queue="mail")
            hosts = draw(
                st.lists(st.sampled_from(["celery@a", "celery@b", "celery@c"]), min_size=1, max_size=3, unique=True)
            )
            began = [(host, later(3 if not index else 0.5)) for index, host in enumerate(hosts)]
            # The last delivery ends; those before it end as well, or are killed.
            for index, (host, received) in enumerate(began):
                pid = pids[host]
                add_event("received", received, host, pid, **description, retries=retries)
                started = received + draw(st.integers(1, 16)) / 16
                is_last = index == len(began) - 1
                if not is_last and draw(st.booleans()):
                    # The worker is killed, and restarted with the same name.
                    pids[host] += 10
                    if draw(st.booleans()):
                        add_event("started", started, host, pid)
                    continue
                add_event("started", started, host, pid)
                ended = started + draw(st.integers(1, 64)) / 16
                if is_last and retries < levels - 1:
                    add_event("retried", max(ended, now), host, pid, exception=f"E{run}.{retries}", traceback="T")
                else:
                    end = draw(st.sampled_from(["succeeded", "failed"]))
                    if end == "succeeded":
                        add_event(
                            end,
                            ended,
                            host,
                            pid,
                            result=f"{run}.{host}",
                            runtime=draw(st.sampled_from([ended - started, None])),
                        )
                    else:
                        add_event(end, ended, host, pid, exception=f"F{run}.{host}", traceback="T")
            now = max(now, *(each["timestamp"] for each in events))
        later(5)
    for clock, each in enumerate(sorted(events, key=lambda each: each["timestamp"])):
        each["clock"] = clock
    return sorted(events, key=lambda each: each["timestamp"])
