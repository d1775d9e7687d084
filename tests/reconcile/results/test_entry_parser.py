"""Entries of a result backend."""

import time
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from flower.reconcile.findings import StoredResult
from flower.reconcile.results.entry_parser import ResultParser, describe_exception
from flower.redaction import Redactor

NOW = time.time()


def parse(meta: dict[str, object], zone: str = "UTC") -> StoredResult:
    found = ResultParser(Redactor(), ZoneInfo(zone)).parse("a", meta, NOW)
    assert found is not None
    return found


def test_texts_are_those_of_events() -> None:
    success = parse({"status": "SUCCESS", "result": {"total": 3, "token": "t"}, "traceback": None})
    assert (success.state, success.result, success.exception) == ("SUCCESS", "{'total': 3, 'token': '***'}", None)
    failure = parse(
        {
            "status": "FAILURE",
            "result": {"exc_type": "ValueError", "exc_message": ["no", 3], "exc_module": "builtins"},
            "traceback": "Traceback …",
        }
    )
    assert (failure.exception, failure.result, failure.traceback) == ("ValueError('no', 3)", None, "Traceback …")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"exc_type": "KeyError", "exc_message": ["a"]}, "KeyError('a')"),
        ({"exc_type": "MyError", "exc_message": []}, "MyError()"),
        ({"exc_type": "MyError", "exc_message": "text"}, "MyError('text')"),
        (ValueError("no"), "ValueError('no')"),
        (None, None),
        ("anything", "'anything'"),
    ],
)
def test_an_exception_is_described_without_being_created(value: object, text: str | None) -> None:
    assert describe_exception(value) == text


def test_a_date_without_zone_is_in_that_of_the_application_or_in_utc() -> None:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    epoch = moment.timestamp()
    naive = moment.replace(tzinfo=None)
    in_tokyo = moment.astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)
    in_lima = moment.astimezone(ZoneInfo("America/Lima")).replace(tzinfo=None)
    ends = {
        parse({"status": "SUCCESS", "date_done": date}, zone).ended
        for date, zone in [
            (moment.isoformat(), "UTC"),
            (moment.astimezone(timezone(timedelta(hours=5))), "UTC"),
            (naive, "UTC"),
            (naive.isoformat(), "America/Lima"),  # a future time in Lima: it is UTC
            (in_tokyo, "Asia/Tokyo"),
            (in_lima, "America/Lima"),
        ]
    }
    assert ends == {epoch}
    assert parse({"status": "SUCCESS", "date_done": "yesterday"}).ended is None


def test_a_state_that_is_not_an_end_has_no_end() -> None:
    started = parse({"status": "STARTED", "result": {"pid": 1}, "date_done": datetime.now(UTC)})
    assert (started.ended, started.result) == (None, None)
    assert ResultParser(Redactor(), UTC).parse("a", {"result": 1}, NOW) is None
