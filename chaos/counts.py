"""Worker signs, numbers and waits of one view, checked."""

from collections.abc import Mapping

from chaos.http_view import View

#: Seconds. Longer waits are absurd in scenarios of some minutes.
MAX_WAIT = 600.0


def find_wrong_signs(view: View, alive: Mapping[str, bool]) -> list[str]:
    """Places that show a living worker as dead or the reverse; `alive` by hostname. A place that reports the life of a
    worker as unknown is not wrong."""
    return sorted(
        f"{place}: {worker} is shown as {'alive' if shown else 'dead'}"
        for (place, worker), shown in view.worker_signs.items()
        if shown is not None and worker in alive and bool(shown) != alive[worker]
    )


def find_differing_numbers(view: View) -> set[str]:
    return {name for name, places in view.numbers.items() if len(set(places.values())) > 1}


def find_disagreements(view: View, *, overdue: int = 0) -> list[str]:
    """Numbers that differ between places. Celery sends task-failed twice for a task over its hard time limit; `overdue`
    is the number of such tasks."""
    found = []
    for name in sorted(find_differing_numbers(view)):
        places = view.numbers[name]
        if name != "task-failed" or max(places.values()) - min(places.values()) > overdue:
            found.append(f"{name}: " + ", ".join(f"{value:g} in {place}" for place, value in places.items()))
    return found


def list_multiple_attempts(view: View) -> list[str]:
    """Tasks with more than one attempt, or with a state from another source, for a search for disagreements."""
    return [
        f"{uuid}: {task.state} from {task.source or 'events'}, attempts {list(task.attempts)}"
        for uuid, task in view.tasks.items()
        if len(task.attempts) > 1 or task.source is not None
    ]


def find_absurd_waits(view: View) -> list[str]:
    return [
        f"{uuid}: {task.times}"
        for uuid, task in view.tasks.items()
        if task.wait is not None and abs(task.wait) > MAX_WAIT
    ]
