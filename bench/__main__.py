"""`python -m bench`: compares Bellflower with Flower 2.2.0 on this machine. The method: docs/benchmarks.md."""

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
from bench.results import Measurement
from bench.runner import BASE, QUICK, BenchmarkRun, Sizes
from bench.scenarios import STEPS, Step
from bench.systems_under_test import bellflower, flower
from bench.table import print_table

NAMES = ("flower", "bellflower")


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, without kill -9 and large stores: about four minutes.")
@click.option("--only", multiple=True, metavar="NAME", help="Run only steps whose name contains this; may be repeated.")
@click.option("--system", "only_system", type=click.Choice(NAMES), help="Measure only one of the two systems.")
@click.option("--tasks", type=click.IntRange(min=1_000), help="Tasks in the event streams that measure throughput.")
@click.option("--large", type=click.IntRange(min=100_000), help="Tasks in the store of the step `large-store`.")
@click.option(
    "--size",
    "queried",
    type=click.IntRange(min=1_000),
    multiple=True,
    help="Tasks in the stores that `queries-alone` queries.",
)
@click.option("--rounds", type=click.IntRange(min=1), help="Requests of each kind in `queries-alone`.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Query this store, filled by `bench.fill`. It is kept, with the events received during the run.",
)
@click.option("--base", default=BASE, show_default=True, metavar="COMMIT", help="Commit that `ingest` compares with.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the JSON.")
@click.option("--list", "show_list", is_flag=True, help="Show the names of the steps.")
def main(
    *,
    quick: bool,
    only: tuple[str, ...],
    only_system: str | None,
    tasks: int | None,
    large: int | None,
    queried: tuple[int, ...],
    rounds: int | None,
    store: Path | None,
    base: str,
    out: Path | None,
    show_list: bool,
) -> None:
    """Measure Bellflower and Flower 2.2.0, and print a table of ratios."""
    if show_list:
        click.echo("\n".join(f"{step.name:28}{step.when}" for step in STEPS))
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, tasks=tasks or sizes.tasks, large_tasks=large or sizes.large_tasks)
    sizes = replace(sizes, paged_tasks=min(sizes.paged_tasks, sizes.large_tasks // 2))
    sizes = replace(sizes, queried_tasks=queried or sizes.queried_tasks, rounds=rounds or sizes.rounds)
    bench = BenchmarkRun(_systems(only_system), sizes, click.echo, store, base)
    measurements, failed = _measure(bench, _chosen(only, quick=quick, bellflower_too=only_system != "flower"))
    if measurements:
        # Wide enough for every row: a table in a log file must not wrap at 80 columns.
        print_table(measurements, Console(width=240))
    path = out or WORKPLACE / f"results-{datetime.datetime.now():%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_document(bench, measurements, failed))))
    click.echo(f"Written to {path}")
    sys.exit(1 if failed else 0)


def _interrupted(number: int, frame: FrameType | None) -> None:
    # Unwinds the stack for every signal, so that each context manager stops what it started.
    raise KeyboardInterrupt


def _systems(only: str | None) -> tuple[Any, ...]:
    if only != "flower" and not has_bellflower():
        raise click.ClickException(
            "Bellflower is not installed in this environment. Use --system flower to measure Flower alone."
        )
    makers = {"flower": flower, "bellflower": bellflower}
    return tuple(makers[name]() for name in NAMES if only in (None, name))


def _chosen(only: Sequence[str], *, quick: bool, bellflower_too: bool) -> list[Step]:
    if only:
        steps = [step for step in STEPS if any(word in step.name for word in only)]
        if not steps:
            raise click.BadParameter(f"unknown step; the steps are {', '.join(s.name for s in STEPS)}")
    else:
        levels = {"always"} if quick else {"always", "full"}
        steps = [step for step in STEPS if step.when in levels]
    return [step for step in steps if bellflower_too or not step.alone]


def _measure(bench: BenchmarkRun, steps: Sequence[Step]) -> tuple[list[Measurement], list[str]]:
    """All measurements, and the names of the steps that failed."""
    measurements: list[Measurement] = []
    failed = []
    for step in steps:
        bench.log(f"[{step.name}]")
        try:
            measurements.extend(step.run(bench))
        except Exception:  # noqa: BLE001 - an error in one step does not stop the others
            failed.append(step.name)
            bench.log(f"{step.name} failed:\n{traceback.format_exc()}")
    return measurements, failed


def _document(bench: BenchmarkRun, measurements: Sequence[Measurement], failed: Sequence[str]) -> dict[str, Any]:
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": {system.name: versions(system.python) for system in bench.systems},
        "sizes": asdict(bench.sizes),
        "failed": failed,
        "figures": [measurement.as_dict() for measurement in measurements],
    }


if __name__ == "__main__":
    main()
