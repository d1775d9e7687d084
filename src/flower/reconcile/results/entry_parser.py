"""Entries of a result backend → `StoredResult`, with the texts that an event of the task would have.

Exceptions are not created again: their repr is built from the stored name and arguments, because creating one would
import and call code that the entry names.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from celery.states import EXCEPTION_STATES, READY_STATES
from celery.utils.saferepr import saferepr

from flower.reconcile.findings import StoredResult
from flower.records import RETRY
from flower.redaction import Redactor
from flower.untrusted_values import convert_or_none

#: Characters of a result in an event (`resultrepr_maxsize`), and of arguments (`argsrepr_maxsize`).
MAX_TEXT: Final = 1024

#: Seconds by which an end may be in the future before its time zone must be wrong.
_FUTURE_TOLERANCE: Final = 300.0

ENDED_STATES: Final = frozenset(READY_STATES)


class ResultParser:
    """Converts entries. `timezone` is that of the application, for dates without one."""

    def __init__(self, redactor: Redactor, timezone: tzinfo, *, is_utc: bool = True) -> None:
        self._redactor, self._timezone, self.is_utc = redactor, timezone, is_utc

    def parse(self, uuid: str, meta: Mapping[str, Any], observed_at: float) -> StoredResult | None:
        """The entry of a task; None if it has no state. `meta` is the decoded entry: a result, and an exception as the
        dict that Celery stores."""
        state = convert_or_none(meta.get("status"), str)
        if not state:
            return None
        failed = state in EXCEPTION_STATES
        value = meta.get("result")
        ended = state in ENDED_STATES
        name = convert_or_none(meta.get("name"), str)
        return StoredResult(
            uuid=uuid,
            state=state,
            observed_at=observed_at,
            ended=self.to_epoch(meta.get("date_done")) if ended else None,
            result=self._mask(saferepr(value, MAX_TEXT)) if ended and not failed else None,
            exception=self._mask(describe_exception(value)) if failed and (ended or state == RETRY) else None,
            traceback=self._mask(convert_or_none(meta.get("traceback"), str)),
            parent_id=convert_or_none(meta.get("parent_id"), str),
            name=name,
            args=self._mask_args(name, meta.get("args")),
            kwargs=self._mask(_arguments_text(meta.get("kwargs"))),
            hostname=convert_or_none(meta.get("worker"), str),
            queue=convert_or_none(meta.get("queue"), str),
            retries=convert_or_none(meta.get("retries"), int),
        )

    def to_epoch(self, value: Any) -> float | None:
        """Epoch seconds of a `date_done`: an ISO 8601 text, a datetime or a number. Without a time zone it is in that
        of the application, or in UTC, which older versions of Celery store."""
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                return value.timestamp()
            local = value.replace(tzinfo=self._timezone).timestamp()
            return value.replace(tzinfo=UTC).timestamp() if local > time.time() + _FUTURE_TOLERANCE else local
        return convert_or_none(value, float)

    def _mask(self, text: str | None) -> str | None:
        return None if text is None else self._redactor.mask_text(text)

    def _mask_args(self, name: str | None, value: Any) -> str | None:
        text = self._mask(_arguments_text(value, as_tuple=True))
        return None if text is None else self._redactor.mask_positions(name, text)


def describe_exception(value: Any) -> str | None:
    """The repr of a stored exception, as `task-failed` has it."""
    if isinstance(value, BaseException):  # the pickle serializer
        return str(saferepr(value, MAX_TEXT))
    if not isinstance(value, Mapping):
        return None if value is None else str(saferepr(value, MAX_TEXT))
    name = value.get("exc_type")
    arguments = value.get("exc_message")
    if not isinstance(name, str):
        return str(saferepr(value, MAX_TEXT))
    if arguments is None:
        return f"{name}()"
    if isinstance(arguments, list | tuple):
        return f"{name}({', '.join(saferepr(each, MAX_TEXT) for each in arguments)})"[:MAX_TEXT]
    return f"{name}({saferepr(arguments, MAX_TEXT)})"


def _arguments_text(value: Any, *, as_tuple: bool = False) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if as_tuple and isinstance(value, Sequence):
        value = tuple(value)
    return str(saferepr(value, MAX_TEXT))
