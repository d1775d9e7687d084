"""`make screenshots`: screenshots of every page of the demo in both themes and at three widths.

`docs/pictures` gets those that the documentation shows; a folder named by ARGS gets all."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from tests.helpers.browser import PHONE, TABLET, WIDE, open_browser
from tests.helpers.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"
SIZES = {"1440": WIDE, "1024": TABLET, "390": PHONE}

#: Screenshots that the documentation shows.
SHOWN = {
    name
    for document in (ROOT / "README.md", ROOT / "docs" / "tour.md")
    for name in re.findall(r"pictures/([\w-]+)\.png", document.read_text())
}

#: Seconds that the demo runs before the screenshots, so that the charts have data.
WARM_UP = 150


@contextmanager
def demo() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        command = [str(Path(sys.executable).with_name("flower")), "demo", "--rate=8", "--seed=7"]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not (found := re.search(r"Open\s+(http\S+)", (Path(folder) / "log").read_text())):
                if process.poll() is not None:
                    raise RuntimeError((Path(folder) / "log").read_text())
                time.sleep(0.2)
            yield found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def pages(base: str) -> dict[str, str]:
    """Path by name of the screenshot."""

    def get(path: str, **params: Any) -> Any:
        return httpx.get(f"{base}/api/v1/{path}", params=params, timeout=30).raise_for_status().json()

    failed = get("tasks", query="state:FAILURE name:shop.charge_card", limit=1)["tasks"][0]["uuid"]
    order = max(get("workflows", limit=100)["workflows"], key=lambda each: int(each["task_count"]))["uuid"]
    group = get(f"tasks/{failed}")["failure"]
    return {
        "overview": "/?t=-15m",
        "tasks": "/tasks?t=-15m",
        "search": "/tasks?q=state%3AFAILURE+name%3Ashop.*&t=-15m",
        "nothing": "/tasks?q=name%3Ashop.charge_card+runtime%3A%3E1h",
        "task": f"/task/{failed}",
        "failures": "/failures",
        "failure": f"/failures/{group}",
        "workflows": "/workflows",
        "workflow": f"/workflows/{order}",
        "workers": "/workers",
        "worker": "/worker/orders%40shop",
        "queues": "/queues",
        "queue": "/queues/default",
        "jobs": "/jobs",
        "audit": "/audit",
        "settings": "/settings",
    }


def take(browser: Browser, base: str, folder: Path) -> None:
    for name, path in pages(base).items():
        for theme in ("light", "dark"):
            for width, (across, down) in SIZES.items():
                picture = f"{name}-{theme}-{width}"
                if folder == PICTURES and picture not in SHOWN:
                    continue
                context = browser.new_context(
                    base_url=base, color_scheme=theme, viewport={"width": across, "height": down}, timezone_id="UTC"
                )
                page = context.new_page()
                page.goto(path)
                # A live page is never idle. The placeholders of a panel end with its data, also on a loaded machine.
                page.wait_for_selector("main")
                page.wait_for_timeout(1_800)
                page.wait_for_function("() => !document.querySelector('.skels')", timeout=60_000)
                page.wait_for_timeout(500)
                page.screenshot(path=folder / f"{picture}.png")
                context.close()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with demo() as base, open_browser() as browser:
        print(f"Running the demo at {base} for {WARM_UP} seconds …", flush=True)
        time.sleep(WARM_UP)
        take(browser, base, folder)
    print(f"Screenshots are in {folder}")


if __name__ == "__main__":
    main()
