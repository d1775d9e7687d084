"""What a call of a task asks for: checked and converted once, whoever asks (Python, HTTP)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flower.errors import Invalid

#: The form of dates in calls; ISO 8601 is understood too.
DATE = "%Y-%m-%d %H:%M:%S.%f"

#: Options that only make sense as live objects of the caller's process. We set the producer ourselves.
_OURS = frozenset({"producer", "publisher", "connection", "router", "result_cls", "add_to_parent", "app"})

_RATE = re.compile(r"\d+(\.\d+)?(/[smh])?")


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    #: how long to wait for the result, in seconds; None = as long as it takes
    timeout: float | None = None


def call(name: str, args: Any = None, kwargs: Any = None, options: Mapping[str, Any] | None = None) -> Call:
    """Raises Invalid with the words of the HTTP API. `options` are those of Celery's `apply_async`, plus `timeout`."""
    rest = dict(options or {})
    timeout = rest.pop("timeout", None)
    if not isinstance(name, str) or not name:
        raise Invalid("the task's name must be a text")
    if args is not None and not isinstance(args, list | tuple):
        raise Invalid("args must be an array")
    if kwargs is not None and (not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs)):
        raise Invalid("kwargs must be an object")
    foreign = _OURS & rest.keys()
    if foreign:
        raise Invalid("Invalid option", hint=f"{', '.join(sorted(foreign))} cannot be given")
    return Call(name, list(args or ()), dict(kwargs or {}), _converted(rest), seconds(timeout, "Invalid timeout"))


def seconds(value: Any, complaint: str) -> float | None:
    """A finite, non-negative number of seconds; None stays None."""
    if value is None:
        return None
    number = _number(value, complaint)
    if number < 0:
        raise Invalid(complaint, hint="seconds, not negative")
    return number


def rate(value: Any) -> str:
    """A rate as workers understand it: `200`, `10/s`, `90/m`, `5/h`; 0 lifts the limit."""
    text = str(value).strip()
    if isinstance(value, bool) or not _RATE.fullmatch(text):
        raise Invalid(f"Invalid rate limit string: {text!r}", hint="a number, alone or followed by /s, /m or /h")
    return text


def _converted(options: dict[str, Any]) -> dict[str, Any]:
    changed = dict(options)
    if changed.get("eta") is not None:
        changed["eta"] = _date(changed["eta"])
    if changed.get("countdown") is not None:
        changed["countdown"] = _number(changed["countdown"], "Invalid option")
    expires = changed.get("expires")
    if expires is not None:
        changed["expires"] = _date(expires) if _is_date(expires) else _number(expires, "Invalid option")
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


def _number(value: Any, complaint: str) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise Invalid(complaint, hint="a number of seconds")


def _date(value: Any) -> datetime:
    """A date without zone is left as it is: the application's time zone rules apply."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
        try:
            return datetime.strptime(value, DATE)  # noqa: DTZ007 - see above
        except ValueError:
            pass
    raise Invalid("Invalid option", hint="dates look like 2026-11-22 14:30:00.000000")
