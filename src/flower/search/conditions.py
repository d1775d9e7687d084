"""What `is:` can be followed by: words for what people ask most often, and the searches they stand for."""

from dataclasses import dataclass

from flower.records import FAILURE, FINAL_STATES, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, SUCCESS
from flower.search.tree import Node, Not, Or, Term, any_of


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    node: Node
    description: str


def _state(*states: str) -> Node:
    return any_of(Term("state", "is", state) for state in states)


_ENDED = sorted(FINAL_STATES)
_WAITING = (PENDING, RECEIVED, RETRY)
_FINISHED = _state(*_ENDED)
_CHILD = Term("parent_id", "present", "")

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("failed", _state(FAILURE), "it failed"),
        Condition("succeeded", _state(SUCCESS), "it succeeded"),
        Condition("waiting", _state(*_WAITING), "no worker runs it: sent, received, or to be tried again"),
        Condition(
            "running",
            Not(_state(*_WAITING, *_ENDED)),
            "a worker runs it: STARTED, or a state of your own such as PROGRESS",
        ),
        Condition("finished", _FINISHED, "it has ended: succeeded, failed, revoked or rejected"),
        Condition("unfinished", Not(_FINISHED), "it waits or runs"),
        Condition(
            "retried",
            Or((Term("retries", "range", (1.0, None)), Term("state", "is", RETRY))),
            "it was tried again, or is about to be",
        ),
        Condition("revoked", _state(REVOKED), "it was revoked"),
        Condition("rejected", _state(REJECTED), "it was rejected"),
        Condition("root", Not(_CHILD), "no other task sent it"),
        Condition("child", _CHILD, "another task sent it"),
        Condition("slow", Term("runtime", "slow", ""), "it ran longer than 95 of 100 tasks of its type"),
    )
}
