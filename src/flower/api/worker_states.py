"""The states of all workers of a store, by the rules of `flower.worker_state`."""

from flower.recorder_status import RecorderStatus
from flower.records import Worker
from flower.store.protocols import Reader
from flower.worker_state import WorkerState, judge_workers


def read_worker_states(store: Reader, now: float) -> dict[str, WorkerState]:
    """By name. Raises StoreError."""
    return judge_workers(store.workers(), RecorderStatus.from_dict(store.recorder_status()), now)


def read_live_workers(store: Reader, now: float) -> list[Worker]:
    """The workers that count as alive. Raises StoreError."""
    workers = store.workers()
    states = judge_workers(workers, RecorderStatus.from_dict(store.recorder_status()), now)
    return [worker for name, worker in workers.items() if states[name].alive]


def find_live_workers(store: Reader, now: float) -> frozenset[str]:
    """Names of the workers that count as alive. Raises StoreError."""
    return frozenset(name for name, state in read_worker_states(store, now).items() if state.alive)
