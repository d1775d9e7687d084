"""The rate limit of log messages."""

import logging

import pytest

from flower.log_rate_limit import INTERVAL, LogRateLimit, limit_log_rate
from flower.logging_setup import restore_logging


@pytest.fixture
def times() -> list[float]:
    return [0.0]


@pytest.fixture
def logger(times: list[float]) -> logging.Logger:
    logger = logging.Logger("limited")
    logger.addFilter(LogRateLimit(burst=2, clock=lambda: times[0]))
    return logger


@pytest.fixture
def lines(logger: logging.Logger) -> list[str]:
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger.addHandler(Collector())
    return lines


def test_each_message_is_logged_at_most_burst_times_with_a_count(
    logger: logging.Logger, lines: list[str], times: list[float]
) -> None:
    for number in range(10):
        logger.warning("refused %d%%", number)
    logger.warning("other")
    assert lines == ["refused 0%", "refused 1%", "other"]
    times[0] = INTERVAL
    logger.warning("refused %d%%", 10)
    assert lines[3:] == ["refused 10% (8 similar messages suppressed)"]
    times[0] = 2 * INTERVAL
    logger.warning("refused %d%%", 11)
    assert lines[4:] == ["refused 11%"]


def test_only_the_first_line_of_a_message_counts(logger: logging.Logger, lines: list[str]) -> None:
    """asyncio adds lines with the addresses of objects."""
    for number in range(5):
        logger.error(f"Fatal error\nprotocol: {number}")
    assert len(lines) == 2


def test_information_and_tracebacks_always_pass(logger: logging.Logger, lines: list[str]) -> None:
    for _ in range(5):
        logger.info("started")
        logger.error("failed", exc_info=ValueError())
    assert (lines.count("started"), lines.count("failed")) == (5, 5)


def test_limit_is_added_once() -> None:
    logger = logging.Logger("twice")
    limit_log_rate(logger)
    limit_log_rate(logger)
    assert len(logger.filters) == 1


def test_limit_is_kept_when_the_application_configures_logging() -> None:
    logger = logging.getLogger("flower.tests.limited")
    limit_log_rate(logger)
    restore_logging()
    assert len(logger.filters) == 1
