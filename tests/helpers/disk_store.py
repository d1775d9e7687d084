"""A small store on disk with several segments, filled with known tasks."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Reader, Writer
from tests.helpers.paths import ROOT
from tests.helpers.task_factory import make

#: Tasks of a segment.
SEGMENT = 50


@contextmanager
def writing(path: Path, segment_tasks: int = SEGMENT, *, text_index: bool = True) -> Iterator[Writer]:
    writer = open_writer(path, segment_tasks=segment_tasks, text_index=text_index)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    reader = open_reader(path)
    try:
        yield reader
    finally:
        reader.close()


def fill(path: Path, count: int) -> list[Task]:
    """Write tasks in batches of 30."""
    tasks = [make(number) for number in range(count)]
    with writing(path) as writer:
        for place in range(0, count, 30):
            writer.write(Batch(new=tasks[place : place + 30]))
    return tasks


def uuids(path: Path) -> set[str]:
    with reading(path) as reader:
        return {task.uuid for task in reader.tasks(Query(sort=()))}


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """Mount a separate file system; requires root."""
    path.mkdir(exist_ok=True)
    made = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.fail(f"this test mounts a file system, so it must run as root: {made.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def script_environment() -> dict[str, str]:
    """The environment of a script that imports the helpers of the tests."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
