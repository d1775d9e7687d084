"""Durations on the command line: `90`, `15m`, `24h`, `7d`."""

from typing import Any

import click


class Duration(click.ParamType):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        import humanfriendly  # noqa: PLC0415 - only needed when somebody gives one

        try:
            seconds = float(humanfriendly.parse_timespan(value))
        except humanfriendly.InvalidTimespan:
            seconds = 0.0
        if not 0 < seconds < 1e11:
            self.fail(f"'{value}' is not a duration such as 90, 15m, 24h or 7d", param, ctx)
        return seconds
