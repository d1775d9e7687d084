"""One comparison of all monitors with the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.counts import find_absurd_waits, find_disagreements, find_wrong_signs, list_multiple_attempts
from chaos.http_view import View
from chaos.ledger import Ledger
from chaos.modes import Mode
from chaos.truth import TaskTruth
from chaos.verdicts import Verdict, WrongTask, judge

#: Share of the tasks whose end the result backend has that must be right, not only reported.
MIN_RIGHT_WITH_RESULT = 0.95


@dataclass(slots=True)
class MonitorResult:
    monitor: str
    counts: dict[Verdict, int]
    wrong: list[WrongTask] = field(default_factory=list)
    reported: list[WrongTask] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    wrong_signs: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    absurd_waits: list[str] = field(default_factory=list)
    with_result: int = 0
    right_with_result: int = 0
    gaps: list[str] = field(default_factory=list)
    #: tasks with several attempts, if numbers disagree
    attempts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def find_failures(self, *, has_backend: bool) -> list[str]:
        """What Bellflower must not show, whatever the fault."""
        failures = [
            f"{self.counts[verdict]} {verdict}" for verdict in ("stale", "false", "absent") if self.counts[verdict]
        ]
        if self.invented:
            failures.append(f"{len(self.invented)} invented")
        failures += self.wrong_signs + self.disagreements + self.errors
        if self.absurd_waits:
            failures.append(f"{len(self.absurd_waits)} absurd waits")
        if has_backend and self.right_with_result < MIN_RIGHT_WITH_RESULT * self.with_result:
            failures.append(f"{self.right_with_result} right of {self.with_result} whose result is stored")
        return failures

    def describe(self) -> str:
        numbers = " / ".join(str(count) for count in self.counts.values())
        besides = [*self.wrong_signs, *self.disagreements, *self.errors, *(f"gap {gap}" for gap in self.gaps)]
        if self.invented:
            besides.append(f"{len(self.invented)} invented")
        if self.absurd_waits:
            besides.append(f"{len(self.absurd_waits)} absurd waits")
        return f"{self.monitor}: {numbers}" + "".join(f"\n          {text}" for text in besides)


@dataclass(slots=True)
class Comparison:
    scenario: str
    mode: str
    when: str
    tasks: int
    results: list[MonitorResult]
    #: from the end of the fault or of the last task until this comparison
    seconds: float = 0

    def is_acceptable(self, mode: Mode) -> bool:
        return not self.results[0].find_failures(has_backend=mode.has_backend)


def judge_monitor(
    title: str,
    view: View | None,
    before: Mapping[str, TaskTruth],
    after: Mapping[str, TaskTruth],
    ledger: Ledger,
    *,
    clock_offset: float,
    stored_results: frozenset[str],
    alive: Mapping[str, bool],
    interrupted_at: float | None = None,
    read_since: float | None = None,
) -> MonitorResult:
    """`view` is None if the monitor does not run."""
    overdue = sum(history.name == "chaos.overdue" for history in ledger.tasks.values())
    view = view or View(is_recording=False, errors=["not running"])
    verdicts = judge(
        view,
        before,
        after,
        ledger,
        clock_offset=clock_offset,
        stored_results=stored_results,
        interrupted_at=interrupted_at,
        read_since=read_since,
    )
    disagreements = find_disagreements(view, overdue=overdue)
    return MonitorResult(
        monitor=title,
        counts=verdicts.counts,
        wrong=verdicts.wrong,
        reported=verdicts.reported,
        invented=verdicts.invented,
        wrong_signs=find_wrong_signs(view, alive),
        disagreements=disagreements,
        attempts=list_multiple_attempts(view) if disagreements else [],
        absurd_waits=find_absurd_waits(view),
        with_result=verdicts.with_result,
        right_with_result=verdicts.right_with_result,
        gaps=[
            f"{gap.cause} {gap.start - clock_offset:.1f}..{'' if gap.end is None else f'{gap.end - clock_offset:.1f}'}"
            + (f" {gap.worker}" if gap.worker else "")
            for gap in view.gaps
        ],
        errors=view.errors,
    )
