"""`python -m chaos`: runs scenarios, prints the table, and with --publish writes it into docs/reliability.md."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from types import FrameType

import click
import msgspec

from chaos.modes import MODES
from chaos.report import publish, render
from chaos.run import Run, RunReport, RunSettings, ScenarioNotRun
from chaos.scenarios.registry import SCENARIOS, Scenario

WORKPLACE = Path(__file__).resolve().parent.parent / ".chaos"
#: Variable in the environment of a process that another one started for a single run.
CHILD = "CHAOS_CHILD"


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Scenarios whose name begins with this; may be repeated.")
@click.option("--broker", "modes", multiple=True, type=click.Choice(list(MODES)), help="Only these modes.")
@click.option("--seed", type=int, envvar="SEED", default=1, show_default=True, help="Seed of the load.")
@click.option("--short", is_flag=True, help="Short waits, and comparisons repeated until they are acceptable.")
@click.option("--no-flower", is_flag=True, help="Without Flower 2.2.0 alongside.")
@click.option("--limit", default=60.0, show_default=True, help="Seconds that --short repeats a comparison at most.")
@click.option("--jobs", default=1, show_default=True, help="Runs at the same time.")
@click.option("--publish", "publishes", is_flag=True, help="Write the table into docs/reliability.md.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the reports of the runs as JSON to this file.")
@click.option("--from", "source", type=click.Path(path_type=Path, exists=True), help="Show this file, run nothing.")
@click.option("--list", "show_list", is_flag=True, help="Show the names of the scenarios.")
def main(
    *,
    only: tuple[str, ...],
    modes: tuple[str, ...],
    seed: int,
    short: bool,
    no_flower: bool,
    limit: float,
    jobs: int,
    publishes: bool,
    out: Path | None,
    source: Path | None,
    show_list: bool,
) -> None:
    """Cause faults on a real cluster and compare every task with what truly happened."""
    if show_list:
        for scenario in SCENARIOS:
            click.echo(f"{scenario.name:26}{', '.join(mode.name for mode in scenario.modes):50}{scenario.fault}")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    chosen = [
        (scenario, mode.name)
        for scenario in SCENARIOS
        if not only or any(_is_meant(word, scenario.name) for word in only)
        for mode in scenario.modes
        if not modes or mode.name in modes
    ]
    if CHILD in os.environ and len(chosen) != 1:
        # Without this, a child that selects several runs would start children without limit.
        raise click.ClickException("a run that was started by another must be a single one")
    if source is not None:
        reports = msgspec.json.decode(source.read_bytes(), type=list[RunReport])
    elif len(chosen) == 1:
        settings = RunSettings(seed, short=short, with_flower=not no_flower, limit=limit, log=_echo)
        reports = [run_scenario(chosen[0][0], chosen[0][1], settings)]
    else:
        options = ["--seed", str(seed), *(["--short"] * short), *(["--no-flower"] * no_flower), "--limit", str(limit)]
        reports = _run_all(chosen, options, jobs)
    out = out or WORKPLACE / "reports.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(reports)))
    if len(reports) != 1 or source is not None:
        click.echo(render(reports))
    if publishes:
        publish(reports)
    sys.stdout.flush()
    # Results that Celery still refers to would connect to their backend, which has ended, when they are deleted.
    os._exit(1 if any(find_failures(report) for report in reports) else 0)


def _is_meant(word: str, name: str) -> bool:
    """Whether `--only WORD` selects this scenario: by its name, or by the beginning of several."""
    return name == word or (name.startswith(word) and all(scenario.name != word for scenario in SCENARIOS))


def _echo(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def find_failures(report: RunReport) -> list[str]:
    """What Bellflower showed in this run and must not show."""
    failures = [report.error] if report.error else []
    mode = MODES[report.mode]
    for comparison in report.comparisons:
        shown = comparison.results[0].find_failures(has_backend=mode.has_backend)
        failures += [f"{report.scenario}, {report.mode}, {comparison.when}: {text}" for text in shown]
    return failures


def run_scenario(scenario: Scenario, mode: str, settings: RunSettings) -> RunReport:
    report = RunReport(scenario.name, mode)
    began_at = time.monotonic()
    with Run(scenario.name, MODES[mode], settings) as run:
        report.comparisons, report.notes = run.comparisons, run.notes
        try:
            scenario.run(run)
        except ScenarioNotRun as reason:
            report.not_run = str(reason)
            run.log(f"not run: {reason}")
        except Exception:  # noqa: BLE001 - an error of one run does not stop the others
            report.error = traceback.format_exc()
            run.log(report.error)
    report.seconds = time.monotonic() - began_at
    for comparison in report.comparisons:
        result = comparison.results[0]
        for text in [*result.attempts, *result.absurd_waits]:
            settings.log(f"  {comparison.when}: {text}")
        for wrong in [*result.wrong, *result.reported]:
            task = f"{wrong.verdict} {wrong.name} {wrong.uuid}"
            settings.log(f"  {comparison.when}: {task}: {wrong.truth}; shown {wrong.shown}; ledger: {wrong.history}")
    return report


def _run_all(chosen: Sequence[tuple[Scenario, str]], options: Sequence[str], jobs: int) -> list[RunReport]:
    """Each run in a process of its own: signals and applications of Celery are global."""
    WORKPLACE.mkdir(exist_ok=True)

    def run(pair: tuple[Scenario, str]) -> RunReport:
        scenario, mode = pair
        stem = WORKPLACE / f"{scenario.name}-{mode}"
        out = stem.with_suffix(".json")
        out.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "chaos",
            "--only",
            scenario.name,
            "--broker",
            mode,
            *options,
            "--out",
            str(out),
        ]
        with stem.with_suffix(".log").open("wb") as log:
            process = Popen(command, stdin=DEVNULL, stdout=log, stderr=STDOUT, env={**os.environ, CHILD: "1"})
            try:
                process.wait(900)
            except BaseException:
                process.terminate()
                process.wait(60)
                raise
        if not out.exists():
            return RunReport(scenario.name, mode, error=f"exit status {process.returncode}; see {stem}.log")
        (report,) = msgspec.json.decode(out.read_bytes(), type=list[RunReport])
        shown = [comparison.results[0].describe() for comparison in report.comparisons]
        _echo(
            f"{scenario.name} {mode} ({report.seconds:.0f} s): " + (report.not_run or report.error or "; ".join(shown))
        )
        return report

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, chosen))


if __name__ == "__main__":
    main()
