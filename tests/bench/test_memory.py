"""The memory of processes, named by their command lines."""

from bench.scenarios.memory import name_parts
from bench.systems_under_test import Memory


def test_the_memory_of_each_process() -> None:
    each = [
        ("/venv/bin/python -m celery -A app flower --port=5555", 60_000_000),
        ("/venv/bin/python -m flower.recorder_process", 40_000_000),
        ("/venv/bin/python -m flower.capture.drain.process", 10_000_000),
        ("/venv/bin/python -P -m flower.store.sqlite.text.process /store INFO 60.0", 20_000_000),
    ]
    memory = Memory(0, 130_000_000, each)
    assert name_parts(memory) == {"server": 60.0, "recorder": 40.0, "drain": 10.0, "text index": 20.0}
