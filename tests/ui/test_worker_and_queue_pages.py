"""Queues, bulk jobs, the audit log and settings in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.errors import BackendUnavailable
from flower.store.factory import open_reader, open_writer
from tests.helpers.browser import PHONE, WIDE, WatchedPage, violations
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

Visit = Callable[..., Page]
Run = Callable[..., str]


def test_queues(visit: Visit, redis_cluster: Cluster) -> None:
    page = visit("/broker")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")
    expect(page.get_by_text("redis://")).to_be_visible()
    row = page.get_by_role("row", name="celery").first
    expect(row).to_contain_text(redis_cluster.worker.hostname)
    row.get_by_role("link", name="celery", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("celery")
    expect(page.get_by_role("region", name="Consumers", exact=True)).to_contain_text("Online")
    expect(page.get_by_role("img", name="Messages", exact=True)).to_be_visible()
    page.get_by_role("button", name="24 h").click()
    assert page.url.endswith("?t=-24h")
    page.get_by_role("region", name="Messages", exact=True).get_by_role("button", name="Table").click()
    expect(page.get_by_role("columnheader", name="Ready (max)")).to_be_visible()


def test_unknown_queue(visit: Visit) -> None:
    page = visit("/queues/never%2Fthere")
    expect(page.get_by_text("Queue not found on the broker")).to_be_visible()
    expect(page.get_by_text("No samples in this time range")).to_be_visible()
    expect(page.get_by_role("region", name="Consumers", exact=True)).to_contain_text("No online worker")


def test_a_job(visit: Visit, product: Product, run: Run) -> None:
    failed = [run("shop.fail", f"for a job {n}", state="FAILURE") for n in range(3)]
    made = product.http.post("/api/v1/jobs", json={"action": "rerun", "ids": failed, "expected_count": 3}).json()["job"]
    page = visit(f"/jobs/{made['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Re-run: 3 tasks")
    expect(page.locator("dl.facts")).to_contain_text("Finished")
    items = page.get_by_role("region", name="Tasks of the job")
    expect(items.get_by_role("row")).to_have_count(4)
    expect(items.get_by_role("link", name=failed[0])).to_be_visible()
    expect(page.get_by_role("button", name="Stop job…")).to_be_disabled()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert failed[0] in saved.value.path().read_text()
    page.goto("/jobs")
    expect(page.get_by_role("row", name="3 of 3").first).to_contain_text("3 done")


def test_stopping_a_job(visit: Visit, product: Product, run: Run) -> None:
    """A job processes a hundred tasks per second, so one of 900 takes long enough to be stopped."""
    first = run("shop.add", 1, 2)
    ids = [first, *(f"no-such-{n}" for n in range(900))]
    made = product.http.post("/api/v1/jobs", json={"action": "revoke", "ids": ids, "expected_count": len(ids)}).json()[
        "job"
    ]
    page = visit(f"/jobs/{made['id']}")
    page.get_by_role("button", name="Stop job…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Stop job").click()
    expect(page.locator("dl.facts")).to_contain_text("Stopped")
    page.get_by_role("button", name="Not run").click()
    assert page.url.endswith("?outcome=not_run")
    expect(page.get_by_role("cell", name="Not run").first).to_be_visible()


def test_the_audit_log(visit: Visit, product: Product) -> None:
    product.http.post("/api/v1/searches", json={"name": "audited", "query": "state:FAILURE"})
    product.http.post("/api/v1/workers/nobody@w/pool/grow", json={"n": 3})
    page = visit("/audit")
    refused = page.get_by_role("row", name="worker.grow").first
    expect(refused).to_contain_text("Refused")
    expect(refused).to_contain_text("nobody@w")
    page.get_by_label("Action").fill("search")
    page.get_by_role("button", name="Filter", exact=True).click()
    assert page.url.endswith("?action=search")
    expect(page.get_by_role("row", name="search.create").first).to_be_visible()
    expect(page.get_by_role("row", name="worker.grow")).to_have_count(0)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="NDJSON").click()
    text = saved.value.path().read_text()
    assert "search.create" in text
    assert "worker.grow" not in text
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("No entries match these filters.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("row", name="search.create").first).to_be_visible()


def test_saved_searches(visit: Visit, product: Product) -> None:
    product.http.post("/api/v1/searches", json={"name": "slow ones", "query": "runtime:>2s"})
    page = visit("/settings")
    page.get_by_role("button", name="Rename… slow ones").click()
    page.get_by_role("dialog").get_by_label("Name").fill("slowest ones")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="slowest ones")).to_contain_text("Private")
    page.get_by_role("button", name="Share slowest ones").click()
    expect(page.get_by_role("button", name="Make private slowest ones")).to_be_visible()
    main = page.get_by_role("main")
    main.get_by_role("button", name="Remove slowest ones").click()
    expect(main.get_by_role("row", name="slowest ones")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(main.get_by_role("row", name="slowest ones")).to_be_visible()
    for text in ("*password*", "redis://", "not required"):
        expect(main).to_contain_text(text)


def no_broker() -> Any:
    raise BackendUnavailable("There is no broker in this test")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[WebServer]:
    """A server with an admin and a viewer."""
    open_writer(tmp_path).close()
    reader = open_reader(tmp_path)
    users: dict[str, Any] = {"basic_auth": ("ann:pw", "vera:pw"), "roles": ("ann:admin", "vera:viewer")}
    with WebServer(reader, no_broker, **users) as live:
        yield live
    reader.close()


def test_tokens_and_permissions(open_page: Callable[..., WatchedPage], closed: WebServer) -> None:
    base = f"http://127.0.0.1:{closed.port}"
    ann = open_page(
        base, "/settings", http_credentials={"username": "ann", "password": "pw"}, expect_problems=True
    ).page
    ann.get_by_role("button", name="Create token").click()
    dialog = ann.get_by_role("dialog")
    dialog.get_by_label("Name").fill("nightly")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_contain_text("You will not be able to see it again.")
    text = dialog.locator("code").inner_text()
    user = httpx.get(f"{base}/api/v1/me", headers={"authorization": f"Bearer {text}"})
    assert user.json()["permissions"] == ["view"]
    dialog.get_by_role("button", name="Done").click()
    expect(ann.get_by_text(text)).to_have_count(0)
    ann.get_by_role("button", name="Revoke… nightly").click()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(ann.get_by_role("row", name="nightly")).to_contain_text("Revoked")
    assert httpx.get(f"{base}/api/v1/me", headers={"authorization": f"Bearer {text}"}).status_code == 401
    vera = open_page(base, "/audit", http_credentials={"username": "vera", "password": "pw"}, expect_problems=True).page
    expect(vera.get_by_text("You need the “audit” permission")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_accessible(visit: Visit, product: Product, run: Run, theme: str, size: tuple[int, int]) -> None:
    failed = run("shop.fail", "for axe", state="FAILURE")
    made = product.http.post("/api/v1/jobs", json={"action": "rerun", "ids": [failed], "expected_count": 1}).json()[
        "job"
    ]
    product.http.post("/api/v1/searches", json={"name": "for axe", "query": "state:FAILURE"})
    wait_for("the job", lambda: product.get(f"/api/v1/jobs/{made['id']}")["state"] == "finished")
    page = visit("/queues", theme=theme, size=size)
    for path, ready in (
        ("/queues", "Unacked"), ("/queues/celery", "Messages"), ("/jobs", "Re-run"),
        (f"/jobs/{made['id']}", "sent as"), ("/audit", "job.create"), ("/settings", "for axe"),
    ):  # fmt: skip
        page.goto(path)
        expect(page.get_by_role("main")).to_contain_text(ready)
        assert violations(page) == []
        assert page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")


def test_settings_show_the_effective_permissions(
    tmp_path: Path, open_page: Callable[..., WatchedPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    open_writer(tmp_path / "store").close()
    reader = open_reader(tmp_path / "store")
    try:
        with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
            page = open_page(f"http://127.0.0.1:{live.port}", "/settings", expect_problems=True).page
            account = page.get_by_role("region", name="Account")
            expect(account.get_by_role("listitem")).to_have_text(["View", "Read the audit log"])
            expect(account).to_contain_text(re.compile("Manage tasks, Control workers.*: not available.*--basic-auth"))
            expect(page.get_by_role("region", name="Server")).to_contain_text("the API is closed")
    finally:
        reader.close()


#: Delays the responses with the queues by more than the interval of refreshes. An aborted request has no response.
SLOW_QUEUES = """const send = fetch; window.fetch = (url, options) => String(url).endsWith('api/v1/queues')
  ? new Promise((respond, reject) => {
      setTimeout(() => respond(send(url, options)), 3000);
      options.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    })
  : send(url, options);"""


def test_a_refresh_waits_for_a_slow_server(visit: Visit) -> None:
    """Else each refresh would abort the request before it, and no figure would ever be shown."""
    page = visit("/settings")
    page.add_init_script(SLOW_QUEUES)
    page.goto("/queues")
    expect(page.get_by_role("link", name="celery")).to_be_visible()
