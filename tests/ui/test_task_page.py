"""The page of one task in a real browser, against a real worker."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, WatchedPage, violations
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

Visit = Callable[..., Page]
Run = Callable[..., str]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202egnp"


def test_a_failure(visit: Visit, run: Run) -> None:
    uuid = run("shop.fail", "card declined", state="FAILURE")
    page = visit(f"/task/{uuid}")
    expect(page.get_by_role("heading", name="shop.fail")).to_be_visible()
    expect(page).to_have_title(f"shop.fail {uuid[:8]} · Bellflower")
    failure = page.get_by_role("region", name="Exception")
    expect(failure).to_contain_text("ValueError")
    expect(failure).to_contain_text("card declined")
    expect(failure.locator(".fr.last")).to_contain_text("raise ValueError(message)")
    folded = failure.get_by_role("button", name=re.compile("library frame"))
    expect(folded).to_have_attribute("aria-expanded", "false")
    folded.click()
    expect(failure.locator(".of-lib").first).to_contain_text("celery")
    expect(page.get_by_role("group", name="Timeline of 1 attempt")).to_contain_text("failed")
    logs = page.get_by_role("link", name="Logs").get_attribute("href")
    assert logs
    assert logs.startswith(f"https://logs.example/{uuid}?from=20")


def test_attempts(visit: Visit, run: Run) -> None:
    page = visit(f"/task/{run('shop.again')}")
    timeline = page.get_by_role("group", name="Timeline of 3 attempts")
    expect(timeline).to_contain_text("Attempt 3")
    expect(timeline.get_by_text("retried")).to_have_count(2)
    expect(timeline).to_contain_text("succeeded")


def test_the_exception_of_a_retried_task_is_that_of_the_last_failed_attempt(visit: Visit, run: Run) -> None:
    page = visit(f"/task/{run('shop.again')}")
    failure = page.get_by_role("region", name="Exception")
    expect(failure.get_by_role("heading", name="Attempt 2 of 3 failed")).to_be_visible()
    expect(failure.locator(".ms")).to_contain_text(re.compile(r"\w"))
    attempts = failure.get_by_role("group", name="Attempts")
    expect(attempts.get_by_role("button", name="Attempt 2")).to_have_attribute("aria-pressed", "true")
    attempts.get_by_role("button", name="Attempt 1").click()
    expect(failure.get_by_role("heading", name="Attempt 1 of 3 failed")).to_be_visible()


def test_terminate_is_offered_first_for_a_running_task(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.rest", 30, state="STARTED")
    page = visit(f"/task/{uuid}")
    page.get_by_role("button", name="More actions").click()
    stops = page.get_by_role("button", name=re.compile("^(Revoke|Terminate)…$"))
    expect(stops).to_have_text(["Terminate…", "Revoke…"])
    stops.last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The task is running and continues")
    dialog.get_by_role("button", name="Revoke").click()
    toast = page.get_by_role("status").filter(has_text="Revoke sent. The task is running and continues.")
    expect(toast).to_be_visible()
    toast.get_by_role("button", name="Terminate…").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(page.locator(".dt-head .st")).to_have_text("Revoked", timeout=30_000)


def test_values_keep_the_text_of_the_event(visit: Visit, run: Run) -> None:
    uuid = run("shop.echo", 20.0, {"deep": [1, {"x": None}]}, price=20.0)
    page = visit(f"/task/{uuid}")
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text("price")
    expect(panel).to_contain_text("20.0")
    page.get_by_role("tab", name="Arguments", exact=False).first.click()
    expect(panel).to_contain_text("dict of 1")
    expect(panel).to_contain_text("...")  # Celery truncates nested values
    panel.get_by_role("button", name="Text").click()
    expect(panel.locator("pre")).to_have_text("(20.0, {'deep': [1, {...}]})")


def test_rerun(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.echo", "again", price=20.0)
    page = visit(f"/task/{uuid}")
    page.get_by_role("button", name="Re-run…", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("from")
    dialog.get_by_role("button", name="Re-run").click()
    link = page.get_by_role("link", name="View task")
    again = (link.get_attribute("href") or "").rpartition("/")[2]
    wait_for("the re-run", lambda: (product.task(again) or {}).get("state") == "SUCCESS")
    link.click()
    expect(page).to_have_url(re.compile(again))
    assert product.get(f"/api/v1/tasks/{again}")["kwargs"] == "{'price': 20.0}"
    expect(page.get_by_role("region", name="Re-runs")).to_contain_text("Re-run of")


def test_a_rerun_of_a_workflow_step_warns_and_offers_the_root(
    visit: Visit, product: Product, redis_cluster: Cluster
) -> None:
    app = redis_cluster.app
    result = (app.signature("shop.add", (1, 2)) | app.signature("shop.add", (3,))).apply_async()
    wait_for("the chain", lambda: (product.task(result.id) or {}).get("state") == "SUCCESS")
    page = visit(f"/task/{result.id}")
    for button in ("Edit and re-run…", "Re-run…"):
        page.get_by_role("button", name=button, exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("status").first).to_contain_text("Later steps (chain, chord, callbacks) are not sent")
        dialog.get_by_role("button", name="Re-run from the start…").press("Enter")
        # the dialog of the root task, which has two arguments
        expect(page.get_by_role("dialog")).not_to_contain_text("Re-run from the start…")
        expect(page.get_by_role("dialog")).to_contain_text("Later steps")
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.goto(f"/tasks?q=root_id%3A{result.parent.id}")
    expect(page.locator(".gr")).to_have_count(2)
    page.get_by_role("checkbox", name="Select all loaded tasks").click()
    page.get_by_role("toolbar").get_by_role("button", name="Re-run…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Of these, 2 belong to a workflow")


def test_edit_and_rerun(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.echo", 1.0, price=20.0)
    page = visit(f"/task/{uuid}")
    page.get_by_role("button", name="Edit and re-run…").click()
    expect(page.get_by_label("Arguments (JSON array)", exact=True)).to_have_value("[1.0]")
    arguments = page.get_by_label("Keyword arguments (JSON object)")
    expect(arguments).to_have_value('{"price": 20.0}')
    arguments.fill('{"price": oops}')
    page.get_by_role("dialog").get_by_role("button", name="Re-run").click()
    expect(page.get_by_role("alert")).to_contain_text("Keyword arguments: invalid JSON")
    arguments.fill('{"price": 21.0}')
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("as entered")
    page.get_by_role("dialog").get_by_role("button", name="Re-run").click()
    link = page.get_by_role("link", name="View task")
    again = (link.get_attribute("href") or "").rpartition("/")[2]
    wait_for("the re-run", lambda: (product.task(again) or {}).get("state") == "SUCCESS")
    found = product.get(f"/api/v1/tasks/{again}")
    assert (found["args"], found["kwargs"]) == ("[1.0]", "{'price': 21.0}")


def test_revoke_with_the_keyboard(visit: Visit, product: Product, redis_cluster: Cluster) -> None:
    uuid = redis_cluster.app.send_task("shop.add", (1, 2), countdown=12).id
    wait_for("it to be received", lambda: (product.task(uuid) or {}).get("state") == "RECEIVED")
    page = visit(f"/task/{uuid}")
    expect(page.get_by_role("heading", name="shop.add")).to_be_visible()
    page.keyboard.press("v")
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".dt-head .st")).to_have_text("Revoked", timeout=30_000)


def test_an_unknown_task(product: Product, open_page: Callable[..., WatchedPage]) -> None:
    watched = open_page(f"http://127.0.0.1:{product.port}", "/task/no%2Fsuch%3Cb%3E", expect_problems=True)
    page = watched.page
    expect(page.get_by_role("heading", name="Task not found")).to_be_visible()
    expect(page.locator(".empty .mono")).to_have_text("no/such<b>")
    expect(page.locator(".empty")).to_contain_text("tasks are stored")
    page.get_by_role("link", name="Search all fields").click()
    expect(page.get_by_role("heading", name="No matching tasks")).to_be_visible()


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A workflow whose texts all try to inject markup, under a URL prefix, without sign-in."""
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    writer = open_writer(tmp_path / "store")
    text = f"{HOSTILE} {'x' * 1_000_000}"
    one = Task(
        uuid=f"{HOSTILE}/a b?c#d%2f", name=HOSTILE, state="FAILURE", hostname=HOSTILE, queue=HOSTILE, received=100.0,
        started=101.0, failed=102.0, timestamp=102.0, args=f"('{HOSTILE}',)", kwargs=f"{{'{HOSTILE}': 1}}", result=text,
        exception=f"{HOSTILE}('{HOSTILE}')",
        traceback=f'Traceback (most recent call last):\n  File "{HOSTILE}", line 1, in x\n    y()\n{HOSTILE}: {text}\n',
        client=HOSTILE, data={HOSTILE: {HOSTILE: HOSTILE}}, root_id=HOSTILE,
    )  # fmt: skip
    child = Task(
        uuid="child",
        name=HOSTILE,
        state="SUCCESS",
        received=102.0,
        timestamp=103.0,
        parent_id=one.uuid,
        root_id=one.uuid,
    )
    writer.write(Batch(new=[one, child]))
    reader = open_reader(tmp_path / "store")
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False), url_prefix="deep/flower") as live:
        yield live
    reader.close()
    writer.close()


def test_hostile_texts_are_escaped(hostile: WebServer, open_page: Callable[..., WatchedPage]) -> None:
    base = f"http://127.0.0.1:{hostile.port}"
    columns = "state,name,uuid,summary,args,kwargs,result,worker,queue,client"
    # the broker in memory has no queue statistics
    page = open_page(base, f"/deep/flower/tasks?cols={columns}", expect_problems=True).page
    expect(page.locator(".gr")).to_have_count(2)
    page.locator(".gr .nm a").last.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/deep/flower/task/%3Cimg"))
    expect(page.locator(".dt-head")).to_contain_text("<img src=x onerror=")
    expect(page.locator(".dt-head")).to_contain_text("\\u202e")
    expect(page.get_by_role("region", name="Exception")).to_contain_text("<script>")
    for tab in ("Keyword arguments", "Result", "Custom events"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel")).to_contain_text("<img src=x")
    assert "owned" not in page.title().split("<")[0]
    assert page.locator("img").count() == 0
    assert "\u202e" not in (page.locator("body").text_content() or "")
    # Actions are disabled, with a reason.
    expect(page.get_by_role("button", name="Re-run…", exact=True)).to_be_disabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), PHONE], ids=["wide", "phone"])
def test_axe(visit: Visit, run: Run, theme: str, size: tuple[int, int]) -> None:
    page = visit(f"/task/{run('shop.fail', 'declined', state='FAILURE')}", theme=theme, size=size)
    expect(page.get_by_role("region", name="Exception")).to_be_visible()
    expect(page.get_by_role("region", name="Workflow")).to_contain_text("Not part of a workflow")
    assert violations(page) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_masked_values_are_shown_with_their_rule(visit: Visit, run: Run) -> None:
    page = visit(f"/task/{run('shop.echo', {'api_key': 'hunter2', 'note': 'card 4111 1111 1111 1111'})}")
    payload = page.get_by_role("region", name="Payload")
    payload.get_by_role("tab", name="Arguments", exact=False).first.click()
    expect(payload).to_contain_text("Masked before storage: api_key by rule *api_key*, by rule card")
    expect(payload.get_by_text("redacted", exact=True)).to_have_count(1)
