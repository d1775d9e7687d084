"""Waiting for a write: inotify on Linux, polling without a file."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from flower.live.change_watch import POLL_INTERVAL, ChangeWatch
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.task_factory import make

LONG = 60.0


async def seconds_until_change(path: Path | None, change: object = None, timeout: float = LONG) -> float:
    with ChangeWatch(path) as watch:
        started = time.monotonic()
        waiting = asyncio.create_task(watch.wait(timeout))
        await asyncio.sleep(0.05)
        if callable(change):
            await asyncio.to_thread(change)
        await waiting
        return time.monotonic() - started


@pytest.mark.skipif(sys.platform != "linux", reason="inotify exists on Linux only")
def test_a_write_of_the_store_ends_the_wait(tmp_path: Path) -> None:
    writer, reader = open_writer(tmp_path / "store"), open_reader(tmp_path / "store")
    waited = asyncio.run(seconds_until_change(reader.change_signal_path, lambda: writer.write(Batch(new=[make(1)]))))
    assert waited < LONG / 2
    reader.close()
    writer.close()


def test_changes_before_the_wait_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    async def change_between_two_waits() -> float:
        with ChangeWatch(path) as watch:
            await watch.wait(0.0)
            os.utime(path)
            await asyncio.sleep(0.05)
            started = time.monotonic()
            await watch.wait(LONG)
            return time.monotonic() - started

    assert asyncio.run(change_between_two_waits()) < LONG / 2


def test_the_wait_ends_without_a_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert asyncio.run(seconds_until_change(path, timeout=0.2)) >= 0.2


@pytest.mark.parametrize("path", [None, Path("/nowhere/recorder.status")])
def test_without_a_file_changes_are_polled(path: Path | None) -> None:
    assert POLL_INTERVAL <= asyncio.run(seconds_until_change(path)) < LONG / 2


def test_a_cancelled_wait_leaves_no_task(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    async def cancel_wait() -> int:
        with ChangeWatch(path) as watch:
            waiting = asyncio.create_task(watch.wait(LONG))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            await asyncio.sleep(0)
            return len(asyncio.all_tasks())

    assert asyncio.run(cancel_wait()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="inotify exists on Linux only")
def test_a_file_that_is_created_later_is_watched(tmp_path: Path) -> None:
    """A page is often opened before the recorder of a new store has created its files."""
    path = tmp_path / "file"

    async def wait_after_creation() -> float:
        with ChangeWatch(path) as watch:
            path.touch()
            await watch.wait(LONG)
            started = time.monotonic()
            waiting = asyncio.create_task(watch.wait(LONG))
            await asyncio.sleep(4 * POLL_INTERVAL)
            assert not waiting.done()  # no longer polled
            os.utime(path)
            await waiting
            return time.monotonic() - started

    assert asyncio.run(wait_after_creation()) < LONG / 2
