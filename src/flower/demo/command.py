"""`flower demo`."""

import sys

import click


@click.command("demo", short_help="An order shop with live workers, to look at.")
@click.option("--tasks", type=click.IntRange(min=1), metavar="N", help="Stop sending after about N tasks.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="Tasks a second."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page.  [default: 5555, or a free one]")
@click.option("--seed", type=int, help="The same customers every time.")
@click.option(
    "--workers-concurrency",
    "concurrency",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Processes per worker.",
)
@click.option("--web/--no-web", default=True, help="Without the page: broker, workers and tasks only.")
def demo(*, tasks: int | None, rate: float, port: int | None, seed: int | None, concurrency: int, web: bool) -> None:
    """Start a broker, two workers and a stream of tasks, and the product on top. Ctrl-C takes all of it away."""
    from flower.demo.run import DemoSettings, run_demo  # noqa: PLC0415  (`flower --help` need not load it)

    plan = DemoSettings(tasks=tasks, rate=rate, port=port, seed=seed, concurrency=concurrency, web=web)
    sys.exit(run_demo(plan, click.echo))
