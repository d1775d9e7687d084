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
        add_event("task-succeeded", host, result="'ok'", runtime=draw(st.floats(0, 100)))
    elif end == "failed":
        add_event("task-failed", host, exception="KeyError('x')", traceback="Traceback last")
    elif end in ("revoked", "terminated"):
        add_event("task-revoked", host, terminated=end == "terminated", signum=15, expired=False)
    return events
