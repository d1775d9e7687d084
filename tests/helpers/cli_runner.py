"""A runner for click commands that captures standard error separately, with any supported version of click."""

import inspect
from typing import Any

from click.testing import CliRunner

#: Before 8.2, click captures standard error together with the output by default.
_OPTIONS: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def create_runner() -> CliRunner:
    return CliRunner(**_OPTIONS)
