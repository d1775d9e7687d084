"""The tasks page in Chromium at 50 events per second: milliseconds from the publication of an event to the frame that
shows it, while the list is at its top."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from typing import Any

import psutil
from playwright.sync_api import Page

from bench.event_stream import Emitted
from bench.publisher import CONNECTIONS, BrokerConnection
from bench.results import Measurement, Target, median_sample, p95_sample
from bench.runner import SERVERS, BenchmarkRun
from bench.systems_under_test import System, SystemProcess, wait_idle
from bench.wire_format import ENCODERS, encode
from tests.helpers.browser import WIDE, open_browser
from tests.helpers.servers import wait_for

EVENTS_PER_SECOND = 50
SECONDS = 20
#: The events of a task: how many tasks later each is sent, its type and fields, and the text of the state.
LIFE: tuple[tuple[int, str, dict[str, Any], str], ...] = (
    (0, "task-received", {"name": "bench.task", "args": "()", "kwargs": "{}", "retries": 0}, "Received"),
    (2, "task-started", {}, "Started"),
    (5, "task-succeeded", {"result": "None", "runtime": 0.3}, "Success"),
)
TARGET = Target("value", "<=", 0.1)

#: Records when a state of a task is shown first: after the frame with the changed row was rendered, by the clock of the
#: publisher.
OBSERVE = """() => {
  window.shownAt = {};
  const afterFrame = new MessageChannel();
  let pending = [];
  afterFrame.port1.onmessage = () => {
    for (const key of pending) window.shownAt[key] = Date.now() / 1000;
    pending = [];
  };
  const read = () => {
    for (const row of document.querySelectorAll('.gr[data-id]')) {
      const key = `${row.dataset.id} ${row.querySelector('.c-state')?.textContent.trim()}`;
      if (!(key in window.shownAt)) { window.shownAt[key] = null; pending.push(key); }
    }
    if (pending.length) afterFrame.port2.postMessage(null);
  };
  read();
  new MutationObserver(() => { read(); }).observe(document.querySelector('.g-body'), {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ['data-id'] });
}"""


class _Publisher(threading.Thread):
    """Publishes one event at a time. `sent_at`: by task and state."""

    def __init__(self, connection: BrokerConnection, seconds: float) -> None:
        super().__init__(daemon=True)
        self.sent_at: dict[tuple[str, str], float] = {}
        self._connection = connection
        self._events = round(seconds * EVENTS_PER_SECOND)

    def run(self) -> None:
        started_at = time.monotonic()
        for number, (task, kind, fields, state) in zip(range(self._events), _interleave(), strict=False):
            time.sleep(max(0.0, started_at + number / EVENTS_PER_SECOND - time.monotonic()))
            event = {"hostname": "celery@bench", "utcoffset": 0, "pid": 1, "uuid": task, "type": kind, "clock": number}
            event |= {**fields, "timestamp": time.time()}
            messages = list(encode([Emitted(event)], ENCODERS["redis"], batched=False))
            self.sent_at[task, state] = time.time()
            self._connection.send(b"".join(message.payload for message in messages), len(messages))


def _interleave() -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """The events of endless tasks."""
    tasks: deque[str] = deque(maxlen=LIFE[-1][0] + 1)
    while True:
        tasks.append(str(uuid.uuid4()))
        for ago, kind, fields, state in LIFE:
            if len(tasks) > ago:
                yield tasks[-1 - ago], kind, fields, state


def live_page(bench: BenchmarkRun) -> Iterator[Measurement]:
    system = bench.system("bellflower")
    delays, unseen, cores = measure_delays(system)
    note = f"{len(delays)} events, {unseen} replaced before they were shown; web process {cores:.3f} cores"
    for name, sample in (("p50 s", median_sample(delays)), ("p95 s", p95_sample(delays))):
        yield Measurement("live page: event to pixel", name, {"bellflower": sample}, TARGET, {}, note)


def measure_delays(system: System, path: str = "/tasks") -> tuple[list[float], int, float]:
    """Seconds from each event to its frame, the number of events that were not shown, and the cores of the web
    process."""
    with SERVERS["redis"]() as server, SystemProcess(system, server.url) as running, open_browser() as browser:
        running.start()
        running.client().wait_for_page()
        connection = CONNECTIONS["redis"]("127.0.0.1", server.port)
        page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
        page.goto(f"http://127.0.0.1:{running.port}{path}")
        # events that are sent before the system has subscribed are lost
        wait_for("the subscription", lambda: _publish(connection, 1.0) and page.query_selector(".gr[data-id]"))
        wait_idle(running, idle_for=2)
        page.mouse.move(5, 5)  # rows do not move under the pointer
        page.evaluate(OBSERVE)
        assert running.process is not None
        web = psutil.Process(running.process.pid)
        cpu_before, started_at = sum(web.cpu_times()[:2]), time.monotonic()
        publisher = _Publisher(connection, SECONDS)
        publisher.start()
        page.wait_for_timeout(1000 * SECONDS)
        publisher.join()
        cores = (sum(web.cpu_times()[:2]) - cpu_before) / (time.monotonic() - started_at)
        page.wait_for_timeout(1000)
        delays, unseen = _compare(publisher.sent_at, page)
        connection.close()
    return delays, unseen, cores


def _publish(connection: BrokerConnection, seconds: float) -> bool:
    publisher = _Publisher(connection, seconds)
    publisher.run()
    return True


def _compare(sent_at: dict[tuple[str, str], float], page: Page) -> tuple[list[float], int]:
    shown_at: dict[str, float | None] = page.evaluate("window.shownAt")
    delays = []
    for (task, state), sent in sent_at.items():
        shown = shown_at.get(f"{task} {state}")
        if shown is not None:
            delays.append(shown - sent)
    return delays, len(sent_at) - len(delays)
