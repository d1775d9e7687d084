"""What reconciliation costs, and what it found: totals since the recorder started."""

from typing import Any

import msgspec


class ReconcileCost(msgspec.Struct):
    """Counters of one reconciler, which its thread changes; other threads read them."""

    passes: int = 0
    #: messages broadcast to workers
    worker_requests: int = 0
    worker_replies: int = 0
    broker_requests: int = 0
    backend_requests: int = 0
    #: seconds spent on queries
    seconds: float = 0.0
    #: tasks that were examined, whose record was corrected, that were marked, and that were found by a search
    checked: int = 0
    corrected: int = 0
    lost: int = 0
    found: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "seconds": round(self.seconds, 3)}
