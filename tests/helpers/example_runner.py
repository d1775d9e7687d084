"""Runs examples as written: code with `await` at the top level, in a namespace."""

import ast
import inspect
from textwrap import dedent
from typing import Any


async def run(code: str, namespace: dict[str, Any]) -> None:
    compiled = compile(dedent(code), "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, namespace)
    if inspect.isawaitable(outcome):
        await outcome
