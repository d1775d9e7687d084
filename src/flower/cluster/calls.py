"""Validates and converts a task call, for the Python API and the HTTP API."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flower.errors import InvalidRequest

#: Format of dates in calls; ISO 8601 is accepted too.
DATE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"

#: Options that are objects of the calling process. The producer is set by this package.
_LOCAL_OPTIONS = frozenset({"producer", "publisher", "connection", "router", "result_cls", "add_to_parent", "app"})

_RATE = re.compile(r"\d+(\.\d+)?(/[smh])?")


@dataclass(frozen=True, slots=True)
class TaskCall:
    """A validated task call."""

    name: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    #: seconds to wait for the result; None = unlimited
    timeout: float | None = None


def build_call(name: str, args: Any = None, kwargs: Any = None, options: Mapping[str, Any] | None = None) -> TaskCall:
    """Raises InvalidRequest with the texts of the HTTP API. `options` are those of Celery's `apply_async`, plus
    `timeout`."""
    call_options = dict(options or {})
    timeout = call_options.pop("timeout", None)
    if not isinstance(name, str) or not name:
        raise InvalidRequest("the task name must be a string")
    if args is not None and not isinstance(args, list | tuple):
        raise InvalidRequest("args must be an array")
    if kwargs is not None and (not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs)):
        raise InvalidRequest("kwargs must be an object")
    local_options = _LOCAL_OPTIONS & call_options.keys()
    if local_options:
        raise InvalidRequest("Invalid option", hint=f"{', '.join(sorted(local_options))} cannot be set")
    return TaskCall(
        name,
        list(args or ()),
        dict(kwargs or {}),
        _convert_options(call_options),
        parse_seconds(timeout, "Invalid timeout"),
    )


def parse_seconds(value: Any, error_message: str) -> float | None:
    """A finite, non-negative number of seconds; None stays None."""
    if value is None:
        return None
    number = _parse_number(value, error_message)
    if number < 0:
        raise InvalidRequest(error_message, hint="must be a non-negative number of seconds")
    return number


def parse_rate_limit(value: Any) -> str:
    """A rate limit as workers accept it: `200`, `10/s`, `90/m`, `5/h`; 0 removes the limit."""
    text = str(value).strip()
    if isinstance(value, bool) or not _RATE.fullmatch(text):
        raise InvalidRequest(
            f"Invalid rate limit string: {text!r}", hint="use a number, alone or followed by /s, /m or /h"
        )
    return text


def _convert_options(options: dict[str, Any]) -> dict[str, Any]:
    converted = dict(options)
    if converted.get("eta") is not None:
        converted["eta"] = _parse_date(converted["eta"])
    if converted.get("countdown") is not None:
        converted["countdown"] = _parse_number(converted["countdown"], "Invalid option")
    expires = converted.get("expires")
    if expires is not None:
        converted["expires"] = _parse_date(expires) if _is_date(expires) else _parse_number(expires, "Invalid option")
    # None means "not given": some of these options would otherwise override those of the task.
    return {key: value for key, value in converted.items() if value is not None}


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, datetime)
    try:
        float(value)
    except ValueError:
        return True
    return False


def _parse_number(value: Any, error_message: str) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise InvalidRequest(error_message, hint="must be a number of seconds")


def _parse_date(value: Any) -> datetime:
    """A datetime. One without a time zone is returned as such: the application's time zone rules apply."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
        try:
            return datetime.strptime(value, DATE_FORMAT)  # noqa: DTZ007 - see above
        except ValueError:
            pass
    raise InvalidRequest("Invalid option", hint="dates have the format 2026-11-22 14:30:00.000000")
