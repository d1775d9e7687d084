"""A headless Chromium, and pages that record errors of scripts, requests and the console."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.helpers.paths import ROOT

AXE = ROOT / "tests" / "ui" / "vendor" / "axe.js"

#: WCAG 2.2 AA and its predecessors.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

#: axe describes the elements that pass as well, without `resultTypes`, which takes a third of its time.
_RUN_AXE = """async rules => {
    const options = {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']};
    return (await axe.run(options)).violations;
}"""

#: Figures that a slow request will replace are dimmed. On a loaded machine they can be so when axe examines the page.
_IS_DRAWN = """() => !document.querySelector('div.dim')
    && !document.getAnimations().some(each => each instanceof CSSTransition)"""

WIDE, TABLET, PHONE = (1440, 900), (1024, 800), (390, 844)


def chromium() -> str:
    """The Chromium of Debian, or another one on the path."""
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise RuntimeError("no chromium: scripts/test-servers installs it")


@contextmanager
def open_browser() -> Iterator[Browser]:
    options = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield browser
        finally:
            browser.close()


class WatchedPage:
    """A page and its complaints. `expect_problems` ignores console messages about responses with an error status, which
    the browser logs for every such response."""

    def __init__(self, page: Page, *, expect_problems: bool = False) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.expect_problems = expect_problems
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        where = message.location.get("url", "")
        if self.expect_problems and message.text.startswith("Failed to load resource"):
            return
        self.complaints.append(f"{message.type}: {message.text} {where}")


def violations(page: Page) -> list[str]:
    """The violations that axe reports: the rule, and the elements. Panels that wait for a slow response are dimmed, so
    this waits for the responses."""
    expect(page.locator("div.dim")).to_have_count(0, timeout=30_000)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())  # the content security policy forbids it as a script element
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE, RULES)
    return [
        f"{each['id']}: {node['target']} {node['failureSummary'][:300]}" for each in found for node in each["nodes"]
    ]
