"""Results of the checks."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

if TYPE_CHECKING:
    from flower.doctor.examination import Examination

Status: TypeAlias = Literal["ok", "warning", "error", "skipped"]


class Outcome(NamedTuple):
    """What a check found, and what to do; "" if nothing is to be done."""

    status: Status
    found: str
    action: str = ""


class DoctorResult(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of a check with its name. `seconds`: how long the check took."""

    check: str
    status: Status
    found: str
    action: str = ""
    seconds: float = 0.0


class Skipped(Exception):
    """A check cannot run; the message is the reason."""


class DoctorCheck(NamedTuple):
    """A check; it raises Skipped if it cannot run. `time_limit`: seconds."""

    name: str
    run: "Callable[[Examination], Iterable[Outcome]]"
    time_limit: float
