"""Search of the result backend for tasks that ended during a gap, including tasks that were never recorded."""

from collections.abc import Callable, Iterator
from typing import Final

from flower.reconcile.cost import ReconcileCost
from flower.reconcile.decisions import end_evidence
from flower.reconcile.examination import is_end_of_run
from flower.reconcile.findings import StoredResult
from flower.reconcile.results import ResultSource, TimeWindow
from flower.reconcile.results.entry_parser import ENDED_STATES
from flower.records import FINAL_STATES, Evidence, Gap, Task

#: Seconds by which the search extends beyond the gap: events may be late, and clocks may differ.
MARGIN: Final = 5.0


def search_gap(
    gap: Gap,
    results: ResultSource,
    find_task: Callable[[str], Task | None],
    clock_tolerance: float,
    cost: ReconcileCost,
    stop: Callable[[], bool],
) -> Iterator[list[Evidence]]:
    """Evidence of tasks that ended in a gap that is over, in batches. `find_task` returns the record of a task.
    Raises what the client library of the backend raises."""
    margin = max(MARGIN, clock_tolerance)
    window = TimeWindow(gap.start - margin, (gap.end or gap.start) + margin)

    def is_wanted(uuid: str) -> bool:
        task = find_task(uuid)
        return task is None or task.state not in FINAL_STATES

    for batch in results.search(window, is_wanted, stop):
        found = [evidence for result in batch if (evidence := _to_evidence(result, find_task, clock_tolerance))]
        cost.found += sum(evidence.basis is None for evidence in found)
        cost.corrected += sum(evidence.basis is not None for evidence in found)
        if found:
            yield found


def _to_evidence(
    result: StoredResult, find_task: Callable[[str], Task | None], clock_tolerance: float
) -> Evidence | None:
    task = find_task(result.uuid)
    if result.state not in ENDED_STATES:
        return None
    if task is not None and (task.state in FINAL_STATES or not is_end_of_run(result, task, clock_tolerance)):
        return None
    return end_evidence(result, None if task is None else (task.state, task.timestamp))
