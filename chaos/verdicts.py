"""The verdict on what a monitor shows of a task."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from chaos.http_view import ShownGap, ShownTask, View
from chaos.ledger import Ledger, TaskHistory
from chaos.truth import TaskTruth, find_passed_states

Verdict = Literal["right", "reported", "stale", "false", "absent"]
VERDICTS: tuple[Verdict, ...] = ("right", "reported", "stale", "false", "absent")
#: Seconds before an interruption: events from then were on the way to the monitor.
IN_FLIGHT = 2.0
ENDS = frozenset({"SUCCESS", "FAILURE", "REVOKED", "REJECTED", "IGNORED"})


class WrongTask(NamedTuple):
    uuid: str
    name: str
    verdict: Verdict
    truth: str
    shown: str
    #: the lines of the ledgers
    history: str


@dataclass(slots=True)
class Verdicts:
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    wrong: list[WrongTask] = field(default_factory=list)
    reported: list[WrongTask] = field(default_factory=list)
    #: tasks whose end the result backend has, and those of them that are right
    with_result: int = 0
    right_with_result: int = 0
    invented: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Life(NamedTuple):
    """Epoch seconds of the first and of the last line of the ledgers about a task, and its workers."""

    start: float
    end: float
    workers: frozenset[str]


def life_of(history: TaskHistory, clock_offset: float) -> Life:
    """`clock_offset`: epoch seconds at 0 of the ledger's clock."""
    hosts = frozenset(line["host"] for line in history.lines if "host" in line)
    return Life(history.lines[0]["at"] + clock_offset, history.lines[-1]["at"] + clock_offset, hosts)


def is_excused(life: Life, gaps: Iterable[ShownGap]) -> bool:
    """Whether a reported gap touches this life."""
    return any(
        gap.start <= life.end
        and (gap.end is None or gap.end >= life.start)
        and (gap.worker is None or gap.worker in life.workers)
        for gap in gaps
    )


def judge_task(shown: ShownTask | None, truth: TaskTruth, *, excused: bool) -> Verdict:
    """A gap or a monitor that cannot record excuses an absent task, never a wrong record."""
    if shown is None:
        return "reported" if excused else "absent"
    if shown.lost:
        return "reported"
    if (shown.state, None) in truth.correct or (shown.state, shown.worker) in truth.correct:
        return "right"
    if shown.worker is None and any(state == shown.state for state, _ in truth.correct):
        return "right"
    return "false" if shown.state in ENDS else "stale"


def judge(
    view: View,
    before: Mapping[str, TaskTruth],
    after: Mapping[str, TaskTruth],
    ledger: Ledger,
    *,
    clock_offset: float,
    stored_results: frozenset[str],
    interrupted_at: float | None = None,
    read_since: float | None = None,
) -> Verdicts:
    """All tasks that existed before the view was read. A task may change while it is read: the truth before and after
    are both accepted, and what a line of the ledger since `read_since` (ledger's clock) proves. `interrupted_at`: since
    when (ledger's clock) nothing can be recorded; None: it can be."""
    found = Verdicts()
    for uuid, truth in before.items():
        shown = view.tasks.get(uuid)
        life = life_of(ledger.tasks[uuid], clock_offset)
        excused = not view.is_recording or is_excused(life, view.gaps)
        accepted = [truth, after.get(uuid, truth)]
        if read_since is not None:
            accepted.append(find_passed_states(ledger.tasks[uuid], read_since))
        verdicts = [judge_task(shown, one, excused=excused) for one in accepted]
        verdict = min(verdicts, key=VERDICTS.index)
        if verdict == "stale" and not view.is_recording and _is_newer(ledger.tasks[uuid], interrupted_at):
            verdict = "reported"
        found.counts[verdict] += 1
        if truth.ends and uuid in stored_results:
            found.with_result += 1
            found.right_with_result += verdict == "right"
        if verdict != "right":
            condition = f"{truth.condition} {sorted(truth.correct, key=str)}"
            history = ledger.tasks[uuid]
            wrong = WrongTask(uuid, history.name, verdict, condition, describe(shown), str(history))
            (found.reported if verdict == "reported" else found.wrong).append(wrong)
    found.invented = sorted(uuid for uuid in view.tasks if uuid not in ledger.tasks)
    return found


def _is_newer(history: TaskHistory, interrupted_at: float | None) -> bool:
    """Whether the record of the task is from before an interruption, which the monitor reports."""
    return interrupted_at is not None and history.lines[-1]["at"] > interrupted_at - IN_FLIGHT


def describe(shown: ShownTask | None) -> str:
    if shown is None:
        return "nothing"
    mark = " lost" if shown.lost else ""
    source = f" from {shown.source}" if shown.source else ""
    return f"{shown.state} at {shown.worker}{mark}{source}"
