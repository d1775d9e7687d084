"""`flower demo`."""

import sys

import click


@click.command("demo", short_help="Run a demo application.")
@click.option("--tasks", type=click.IntRange(min=1), metavar="N", help="Stop sending after about N tasks.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="Tasks per second."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the web UI.  [default: 5555, or a free port]")
@click.option("--seed", type=int, help="Seed of the random generator, for reproducible tasks.")
@click.option(
    "--workers-concurrency",
    "concurrency",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Processes per worker.",
)
@click.option("--web/--no-web", default=True, help="--no-web: start broker, workers and tasks only.")
def demo(*, tasks: int | None, rate: float, port: int | None, seed: int | None, concurrency: int, web: bool) -> None:
    """Start a broker, two workers, a stream of tasks, and Bellflower. Ctrl-C stops everything and removes its data."""
    from flower.demo.run import DemoSettings, run_demo  # noqa: PLC0415 - not needed for --help

    plan = DemoSettings(tasks=tasks, rate=rate, port=port, seed=seed, concurrency=concurrency, web=web)
    sys.exit(run_demo(plan, click.echo))
