"""When the recorder writes."""

import pytest

from flower.recorder import RecorderTuning
from flower.recorder.write_schedule import WriteSchedule

TUNING = RecorderTuning(
    write_share=0.05,
    max_delay=0.06,
    busy_delay=0.5,
    burst_pause=0.02,
    busy_rate=10_000,
    flush_events=40_000,
    pause_delay=0.15,
)


@pytest.fixture
def schedule() -> WriteSchedule:
    made = WriteSchedule(TUNING)
    made.begin(100.0)
    return made


def add_events(schedule: WriteSchedule, now: float, events: int) -> None:
    schedule.add(now, events=events, size=100 * events, messages=1)


def test_a_single_event_is_due_at_once_if_no_more_wait(schedule: WriteSchedule) -> None:
    add_events(schedule, 100.0, 1)
    assert schedule.is_due(100.0, has_more=False)


def test_events_that_wait_are_read_first_for_a_limited_time(schedule: WriteSchedule) -> None:
    add_events(schedule, 100.0, 1)
    assert not schedule.is_due(100.05, has_more=True)
    assert schedule.is_due(100.07, has_more=True)


def test_a_slow_write_delays_the_next_one_up_to_a_limit(schedule: WriteSchedule) -> None:
    for seconds, delay in ((0.001, 0.019), (1.0, TUNING.max_delay)):
        schedule.end_write(200.0, 200.0 + seconds, has_held_tasks=False)
        add_events(schedule, 200.0 + seconds, 1)
        assert schedule.find_write_time() == pytest.approx(200.0 + seconds + delay)


def test_the_limit_is_higher_at_a_high_rate(schedule: WriteSchedule) -> None:
    add_events(schedule, 100.0, 5_000)
    schedule.end_write(100.1, 100.2, has_held_tasks=False)
    add_events(schedule, 100.2, 1)
    assert schedule.find_write_time() == pytest.approx(100.2 + TUNING.max_busy_pause)


def test_at_a_high_rate_events_are_collected(schedule: WriteSchedule) -> None:
    for step in range(49):
        add_events(schedule, now := 100.0 + step / 100, 300)
        assert not schedule.is_due(now, has_more=True)
    assert schedule.is_due(100.51, has_more=True)


def test_a_pause_ends_a_burst(schedule: WriteSchedule) -> None:
    add_events(schedule, 100.0, 4_000)
    assert not schedule.is_due(100.01, has_more=False)
    assert schedule.is_due(100.021, has_more=False)


def test_held_tasks_are_written_later_if_no_event_follows(schedule: WriteSchedule) -> None:
    schedule.end_write(100.0, 100.01, has_held_tasks=True)
    assert schedule.find_write_time() == pytest.approx(100.16)
    add_events(schedule, 100.1, 1)
    assert schedule.is_due(100.1, has_more=False)


def test_a_full_batch_is_due_whatever_the_rate(schedule: WriteSchedule) -> None:
    add_events(schedule, 100.0, TUNING.flush_events - 1)
    assert not schedule.is_full
    add_events(schedule, 100.0, 1)
    assert schedule.is_full
