"""Messages that cannot be read, so that events may be missing: counted, with a sample, and reported as a gap."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from flower.recorder_status import RecorderStatus, UnreadableReport
from flower.records import Gap
from flower.surrogates import escape_surrogates

#: Reasons of `Decoder.reject` for messages that may have contained events. Others are events that are invalid.
UNREADABLE_REASONS: Final = frozenset({"serializer", "compression", "too large", "envelope", "not JSON"})

#: Seconds without such a message after which the gap ends.
GAP_END_DELAY: Final = 60.0
#: Encodings that are counted separately.
_MAX_ENCODINGS: Final = 20
_MAX_ENCODING_LENGTH: Final = 100


class UnreadableMessages:
    """Counts unreadable messages. For use by one thread at a time."""

    def __init__(self) -> None:
        self._count = 0
        self._reasons: Counter[str] = Counter()
        self._encodings: Counter[str] = Counter()
        self._sample = ""
        self._last_at: float | None = None
        self._reported = 0
        self._gap: Gap | None = None

    def add(self, reason: str, encoding: str | None, describe_sample: Callable[[], str]) -> None:
        """`describe_sample` returns the beginning of the message without secrets."""
        self._count += 1
        self._reasons[reason] += 1
        if encoding is not None:
            name = escape_surrogates(encoding[:_MAX_ENCODING_LENGTH])
            if name in self._encodings or len(self._encodings) < _MAX_ENCODINGS:
                self._encodings[name] += 1
        self._last_at = time.time()
        self._sample = self._sample or describe_sample()

    def take_gap(self, now: float) -> Gap | None:
        """The gap when it begins, open, and again when it has ended; None otherwise."""
        if self._count > self._reported:
            self._reported = self._count
            if self._gap is None:
                self._gap = Gap(self._last_at or now, None, self._gap_reason(), cause="unreadable_messages")
                return self._gap
        elif self._gap is not None and self._last_at is not None and now - self._last_at > GAP_END_DELAY:
            return self.end_gap()
        return None

    def end_gap(self) -> Gap | None:
        """The gap, ended at the last message; None if none lasts."""
        gap, self._gap = self._gap, None
        return gap and Gap(gap.start, max(gap.start, self._last_at or 0.0), gap.reason, gap.cause)

    def report(self) -> UnreadableReport:
        return UnreadableReport(
            count=self._count,
            last_at=self._last_at,
            reasons=dict(self._reasons),
            encodings=dict(self._encodings),
            sample=self._sample,
            gap_start=None if self._gap is None else self._gap.start,
            gap_reason="" if self._gap is None else self._gap.reason,
        )

    def _gap_reason(self) -> str:
        encoding = next(iter(self._encodings), None)
        return f"messages could not be read ({encoding or next(iter(self._reasons), 'unknown')})"


def find_unended_gap(status: Mapping[str, Any]) -> Gap | None:
    """The gap that the previous recorder of a store could not end because it was stopped or killed, ended at the last
    message."""
    report = RecorderStatus.from_dict(status).unreadable
    if report is None or report.gap_start is None:
        return None
    end = max(report.gap_start, report.last_at or 0.0)
    return Gap(report.gap_start, end, report.gap_reason, cause="unreadable_messages")
