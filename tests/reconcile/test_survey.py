"""What a survey reads of unfinished tasks."""

from typing import Any

from msgspec.structs import replace

from flower.reconcile.survey import survey_unfinished
from flower.records import Attempt, Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch

TEXTS: dict[str, Any] = {"args": "(1,)", "kwargs": "{}", "exception": "ValueError()", "traceback": "Traceback"}


def test_tasks_are_read_without_texts_and_relatives() -> None:
    earlier = Attempt(0, "celery@one", started=1.0, ended=2.0, state="RETRY", exception="E()", traceback="Traceback")
    retried = Task("retried", name="shop.add", state="RETRY", sent=1.0, root_id="root", earlier=(earlier,), **TEXTS)
    started = Task("started", name="shop.add", state="STARTED", hostname="celery@one", started=3.0, args="(2,)")
    ended = Task("ended", name="shop.add", state="SUCCESS", result="3")
    store = MemoryStore()
    MemoryWriter(store).write(Batch(new=[retried, started, ended]))
    assert survey_unfinished(MemoryReader(store)) == {
        "retried": replace(
            retried,
            **dict.fromkeys(TEXTS),
            root_id=None,
            earlier=(replace(earlier, exception=None, traceback=None),),
        ),
        "started": replace(started, args=None),
    }
