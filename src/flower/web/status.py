"""How the recorder is, in a sentence, honestly: pages show what was recorded, and say so when nothing is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flower.records import Gap
from flower.web.values import ago, clock

#: Seconds after which a recorder that says nothing has stopped or hangs.
SILENCE = 15.0

#: A gap is worth a word for a day.
REMEMBERED = 86_400.0


@dataclass(frozen=True, slots=True)
class RecorderLine:
    level: Literal["good", "warn", "bad"]
    text: str
    gap: str = ""


def recorder_line(status: Mapping[str, Any], gaps: Sequence[Gap], now: float | None = None) -> RecorderLine:
    """`status` is what the recorder said last (see `Recorder`), `gaps` the store's."""
    now = time.time() if now is None else now
    level, text = _state(status, now)
    return RecorderLine(level, text, _gap(gaps, now))


def _state(status: Mapping[str, Any], now: float) -> tuple[Literal["good", "warn", "bad"], str]:
    said = status.get("at")
    if not isinstance(said, int | float):
        return "warn", "No recorder has written to this store yet"
    if status.get("running") is False or now - said > SILENCE:
        return "bad", f"Nothing is being recorded: the recorder was last heard {ago(now - said)} ago"
    if status.get("trouble"):
        return "bad", f"Nothing is being recorded: {status['trouble']}"
    capture = status.get("capture") or {}
    if capture.get("connected") is False:
        why = capture.get("last_error") or "not connected to the broker yet"
        return "warn", f"Nothing can be recorded: {why}; trying again"
    last = status.get("last_event")
    if not isinstance(last, int | float):
        return "good", "Recording; no event so far"
    return "good", f"Recording; last event {ago(now - last)} ago"


def _gap(gaps: Sequence[Gap], now: float) -> str:
    recent = [gap for gap in gaps if gap.end is None or now - gap.end < REMEMBERED]
    if not recent:
        return ""
    last = max(recent, key=lambda gap: gap.start)
    until = "now" if last.end is None else clock(last.end)
    others = f", and {len(recent) - 1} more times in the last day" if len(recent) > 1 else ""
    return f"Events may be missing from {clock(last.start)} to {until}: {last.reason}{others}"
