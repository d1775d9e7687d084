"""What a call of a task asks for: checked and converted once, whoever asks (Python, HTTP)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flower.errors import InvalidRequest

#: The form of dates in calls; ISO 8601 is understood too.
DATE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"

#: Options that only make sense as live objects of the caller's process. We set the producer ourselves.
_LOCAL_OPTIONS = frozenset({"producer", "publisher", "connection", "router", "result_cls", "add_to_parent", "app"})

_RATE = re.compile(r"\d+(\.\d+)?(/[smh])?")


@dataclass(frozen=True, slots=True)
class TaskCall:
    name: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    #: how long to wait for the result, in seconds; None = as long as it takes
    timeout: float | None = None


def build_call(name: str, args: Any = None, kwargs: Any = None, options: Mapping[str, Any] | None = None) -> TaskCall:
    """Raises Invalid with the words of the HTTP API. `options` are those of Celery's `apply_async`, plus `timeout`."""
    rest = dict(options or {})
    timeout = rest.pop("timeout", None)
    if not isinstance(name, str) or not name:
        raise InvalidRequest("the task's name must be a text")
    if args is not None and not isinstance(args, list | tuple):
        raise InvalidRequest("args must be an array")
    if kwargs is not None and (not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs)):
        raise InvalidRequest("kwargs must be an object")
    foreign = _LOCAL_OPTIONS & rest.keys()
    if foreign:
        raise InvalidRequest("Invalid option", hint=f"{', '.join(sorted(foreign))} cannot be given")
    return TaskCall(
        name, list(args or ()), dict(kwargs or {}), _convert_options(rest), parse_seconds(timeout, "Invalid timeout")
    )


def parse_seconds(value: Any, error_message: str) -> float | None:
    """A finite, non-negative number of seconds; None stays None."""
    if value is None:
        return None
    number = _parse_number(value, error_message)
    if number < 0:
        raise InvalidRequest(error_message, hint="seconds, not negative")
    return number


def parse_rate_limit(value: Any) -> str:
    """A rate as workers understand it: `200`, `10/s`, `90/m`, `5/h`; 0 lifts the limit."""
    text = str(value).strip()
    if isinstance(value, bool) or not _RATE.fullmatch(text):
        raise InvalidRequest(f"Invalid rate limit string: {text!r}", hint="a number, alone or followed by /s, /m or /h")
    return text


def _convert_options(options: dict[str, Any]) -> dict[str, Any]:
    changed = dict(options)
    if changed.get("eta") is not None:
        changed["eta"] = _parse_date(changed["eta"])
    if changed.get("countdown") is not None:
        changed["countdown"] = _parse_number(changed["countdown"], "Invalid option")
    expires = changed.get("expires")
    if expires is not None:
        changed["expires"] = _parse_date(expires) if _is_date(expires) else _parse_number(expires, "Invalid option")
    # None means "not given": some of these would otherwise override what the task itself says.
    return {key: value for key, value in changed.items() if value is not None}


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
    raise InvalidRequest(error_message, hint="a number of seconds")


def _parse_date(value: Any) -> datetime:
    """A date without zone is left as it is: the application's time zone rules apply."""
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
    raise InvalidRequest("Invalid option", hint="dates look like 2026-11-22 14:30:00.000000")
