"""When the recorder writes: at once if no more events wait, in large batches at a high rate."""

from flower.recorder.parameters import RecorderTuning


class WriteSchedule:
    """Amounts that are not written yet, and when to write them. Times are those of the monotonic clock."""

    def __init__(self, tuning: RecorderTuning) -> None:
        self._tuning = tuning
        self.events = 0
        #: messages that the broker keeps until they are acknowledged
        self.messages = 0
        self._bytes = 0
        #: when the first of these events was read
        self._since = 0.0
        self._last_read = 0.0
        #: when the next write may begin, and that of held tasks if no event follows
        self._next_write = self._next_held_write = 0.0

    def begin(self, now: float) -> None:
        """Something is to be written, and nothing was before."""
        self._since = now

    def add(self, now: float, *, events: int, size: int, messages: int) -> None:
        """Add a batch of events; `size` is in bytes."""
        self._last_read = now
        self.events += events
        self._bytes += size
        self.messages += messages

    def end_write(self, started_at: float, ended_at: float, *, has_held_tasks: bool) -> None:
        """Everything is written, except for tasks that are held back."""
        tuning = self._tuning
        longest = tuning.max_busy_pause if self.is_busy(started_at) else tuning.max_delay
        self.events = self._bytes = self.messages = 0
        self._since = ended_at
        self._next_write = ended_at + min((ended_at - started_at) * (1 / tuning.write_share - 1), longest)
        self._next_held_write = ended_at + tuning.pause_delay if has_held_tasks else 0.0

    @property
    def is_full(self) -> bool:
        """Whether the batch must not grow."""
        return self.events >= self._tuning.flush_events or self._bytes >= self._tuning.flush_bytes

    def is_due(self, now: float, *, has_more: bool) -> bool:
        """Whether to write now. `has_more`: more events may be waiting, and are read first."""
        tuning = self._tuning
        if has_more and now < self._since + (tuning.busy_delay if self.is_busy(now) else tuning.max_delay):
            return False
        return now >= self.find_write_time()

    def find_write_time(self) -> float:
        """When to write if no more events arrive."""
        tuning = self._tuning
        if not self.events:
            return max(self._next_write, self._next_held_write)
        delay = min(self.events / tuning.busy_rate, tuning.busy_delay)
        if delay < tuning.max_delay:
            return self._next_write
        return max(self._next_write, min(self._since + delay, self._last_read + tuning.burst_pause))

    def is_busy(self, now: float) -> bool:
        """Whether events arrive faster than at `busy_rate`."""
        tuning = self._tuning
        return self.events > tuning.busy_rate * max(now - self._since, tuning.max_delay)
