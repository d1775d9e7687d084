"""The conditions of `is:`: names for frequent searches."""

from dataclasses import dataclass

from flower.records import FAILURE, FINAL_STATES, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, SUCCESS
from flower.search.tree import And, Node, Not, Or, Term, any_of


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    node: Node
    description: str


def _state(*states: str) -> Node:
    return any_of(Term("state", "is", state) for state in states)


_FINAL = sorted(FINAL_STATES)
_WAITING = (PENDING, RECEIVED, RETRY)
_FINISHED = _state(*_FINAL)
_CHILD = Term("parent_id", "present", "")
_LOST = Term("lost", "present", "")

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("failed", _state(FAILURE), "failed"),
        Condition("succeeded", _state(SUCCESS), "succeeded"),
        Condition(
            "waiting",
            And((_state(*_WAITING), Not(_LOST))),
            "not running: sent, received, or waiting for a retry; not lost",
        ),
        Condition(
            "running",
            And((Not(_state(*_WAITING, *_FINAL)), Not(_LOST))),
            "running on a worker: STARTED, or a custom state such as PROGRESS; not lost",
        ),
        Condition("lost", _LOST, "no source proves the state"),
        Condition("finished", _FINISHED, "finished: succeeded, failed, revoked or rejected"),
        Condition("unfinished", Not(_FINISHED), "pending or running, lost ones included"),
        Condition(
            "retried",
            Or((Term("retries", "range", (1.0, None)), Term("state", "is", RETRY))),
            "retried, or waiting for a retry",
        ),
        Condition("revoked", _state(REVOKED), "revoked"),
        Condition("rejected", _state(REJECTED), "rejected"),
        Condition("root", Not(_CHILD), "not sent by another task"),
        Condition("child", _CHILD, "sent by another task"),
        Condition("slow", Term("runtime", "slow", ""), "run time above the 95th percentile of its type"),
    )
}
