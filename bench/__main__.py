"""`python -m bench`: Bellflower beside Flower 2.2.0 on this machine. How it measures: docs/benchmarks.md."""

import datetime
import os
import platform
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
from rich.console import Console

from bench.install import WORKPLACE, has_bellflower, versions
from bench.results import Figure
from bench.runner import BASE, QUICK, Bench, Sizes
from bench.scenarios import STEPS, Step
from bench.systems_under_test import bellflower, flower
from bench.table import print_table

NAMES = ("flower", "bellflower")


@click.command()
@click.option(
    "--quick", is_flag=True, help="Small sizes, no kill -9, nothing with millions of tasks: some four minutes."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only steps whose name holds this; may be repeated.")
@click.option("--system", "only_system", type=click.Choice(NAMES), help="Measure only one of the two.")
@click.option("--tasks", type=click.IntRange(min=1_000), help="Tasks in the streams that speed is measured with.")
@click.option("--large", type=click.IntRange(min=100_000), help="Tasks in the store of the step `large-store`.")
@click.option(
    "--size",
    "asked",
    type=click.IntRange(min=1_000),
    multiple=True,
    help="Tasks in the stores that `queries-alone` asks.",
)
@click.option("--rounds", type=click.IntRange(min=1), help="How often `queries-alone` asks each kind of question.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Ask this store, which `bench.fill` has filled. It is kept, with the events that came in meanwhile.",
)
@click.option("--base", default=BASE, show_default=True, metavar="COMMIT", help="What `ingest` is compared with.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the JSON.")
@click.option("--list", "show_list", is_flag=True, help="Show the names of the steps.")
def main(
    *,
    quick: bool,
    only: tuple[str, ...],
    only_system: str | None,
    tasks: int | None,
    large: int | None,
    asked: tuple[int, ...],
    rounds: int | None,
    store: Path | None,
    base: str,
    out: Path | None,
    show_list: bool,
) -> None:
    """Measure Bellflower beside Flower 2.2.0, and print a table of ratios."""
    if show_list:
        click.echo("\n".join(f"{step.name:28}{step.when}" for step in STEPS))
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, tasks=tasks or sizes.tasks, large_tasks=large or sizes.large_tasks)
    sizes = replace(sizes, paged_tasks=min(sizes.paged_tasks, sizes.large_tasks // 2))
    sizes = replace(sizes, asked_tasks=asked or sizes.asked_tasks, rounds=rounds or sizes.rounds)
    bench = Bench(_systems(only_system), sizes, click.echo, store, base)
    figures, failed = _measure(bench, _chosen(only, quick=quick, bellflower_too=only_system != "flower"))
    if figures:
        # Wide enough for every row: a table in a log file must not be folded at 80 columns.
        print_table(figures, Console(width=240))
    path = out or WORKPLACE / f"results-{datetime.datetime.now():%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_document(bench, figures, failed))))
    click.echo(f"Written to {path}")
    sys.exit(1 if failed else 0)


def _interrupted(number: int, frame: FrameType | None) -> None:
    # All alike: every context manager on the way out stops what it has started.
    raise KeyboardInterrupt


def _systems(only: str | None) -> tuple[Any, ...]:
    if only != "flower" and not has_bellflower():
        raise click.ClickException(
            "Bellflower is not installed in this environment; --system flower measures the other"
        )
    makers = {"flower": flower, "bellflower": bellflower}
    return tuple(makers[name]() for name in NAMES if only in (None, name))


def _chosen(only: Sequence[str], *, quick: bool, bellflower_too: bool) -> list[Step]:
    if only:
        steps = [step for step in STEPS if any(word in step.name for word in only)]
        if not steps:
            raise click.BadParameter(f"no step is called like that; there are {', '.join(s.name for s in STEPS)}")
    else:
        levels = {"always"} if quick else {"always", "full"}
        steps = [step for step in STEPS if step.when in levels]
    return [step for step in steps if bellflower_too or not step.alone]


def _measure(bench: Bench, steps: Sequence[Step]) -> tuple[list[Figure], list[str]]:
    """All figures, and the names of the steps that could not be measured to the end."""
    figures: list[Figure] = []
    failed = []
    for step in steps:
        bench.say(f"[{step.name}]")
        try:
            figures.extend(step.run(bench))
        except Exception:  # noqa: BLE001 - whatever went wrong in one step, the others are worth their minutes
            failed.append(step.name)
            bench.say(f"{step.name} failed:\n{traceback.format_exc()}")
    return figures, failed


def _document(bench: Bench, figures: Sequence[Figure], failed: Sequence[str]) -> dict[str, Any]:
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": {system.name: versions(system.python) for system in bench.systems},
        "sizes": asdict(bench.sizes),
        "failed": failed,
        "figures": [figure.as_dict() for figure in figures],
    }


if __name__ == "__main__":
    main()
