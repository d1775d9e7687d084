"""Durations on the command line: `90`, `15m`, `24h`, `7d`."""

import click


def parse_duration_option(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The callback of an option that takes a duration."""
    if text is None:
        return None
    import humanfriendly  # noqa: PLC0415 - only needed when somebody gives one

    try:
        seconds = float(humanfriendly.parse_timespan(text))
    except humanfriendly.InvalidTimespan:
        seconds = 0.0
    if not 0 < seconds < 1e11:
        raise click.BadParameter(f"'{text}' is not a duration such as 90, 15m, 24h or 7d", ctx, parameter)
    return seconds
