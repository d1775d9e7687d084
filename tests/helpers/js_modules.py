"""Evaluates expressions over page modules, in a browser on an empty page: no Node is needed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from flower.store.memory import MemoryReader, MemoryStore
from flower.web.assets import default_assets
from tests.helpers.browser import WatchedPage
from tests.helpers.web_server import WebServer

Do = Callable[..., Any]

#: Words before a parenthesis that no module exports.
_GLOBALS = ("for", "map", "filter", "push", "from", "Promise", "requestAnimationFrame")


@pytest.fixture(scope="module")
def run_js(browser: Browser) -> Iterator[Do]:
    """`run_js("format/numbers.js", "duration(given)", 1.5)`: an expression over what a module exports."""
    with WebServer(MemoryReader(MemoryStore())) as live:
        context = browser.new_context(timezone_id="Europe/Berlin")
        watched = WatchedPage(context.new_page(), expect_problems=True)
        watched.page.goto(f"http://127.0.0.1:{live.port}/tasks")
        folder = default_assets().url("", "js/")

        def do(module: str, expression: str, given: Any = None) -> Any:
            body = f"m => {{ const {{{_names(expression)}}} = m; return {expression}; }}"
            return watched.page.evaluate(f"given => import('{folder}{module}').then({body})", given)

        yield do
        context.close()


def _names(expression: str) -> str:
    known = re.findall(r"\b([A-Za-z]\w*)\s*\(", expression)
    return ", ".join(dict.fromkeys(name for name in known if name not in _GLOBALS))
