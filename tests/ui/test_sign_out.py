"""Sign-out from the menu, and the end of all sessions from the settings page."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from flower.http.v1.openapi_examples import example_store
from tests.helpers.browser import WatchedPage
from tests.helpers.users import ROLES, USERS
from tests.helpers.web_server import WebServer


@pytest.fixture
def live() -> Iterator[WebServer]:
    with WebServer(example_store(), basic_auth=USERS, roles=ROLES) as server:
        yield server


@pytest.fixture
def sign_in(live: WebServer, open_page: Callable[..., WatchedPage]) -> Callable[[str, str], Page]:
    """The settings page of a user in a new browser."""

    def sign_in_as(name: str, password: str) -> Page:
        # the stream of an ended session is rejected, which the browser reports
        page = open_page(f"http://127.0.0.1:{live.port}", "/login?next=/settings", expect_problems=True).page
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Account")).to_be_visible()
        return page

    return sign_in_as


def is_signed_in(live: WebServer, page: Page) -> bool:
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    response = live.http.get("/api/v1/me", headers={"Cookie": f"user={cookies.get('user', '')}"})
    return response.status_code == 200


def test_sign_out_ends_the_session(live: WebServer, sign_in: Callable[[str, str], Page]) -> None:
    page, other = sign_in("vera", "v"), sign_in("vera", "v")
    assert is_signed_in(live, page)
    copied = {each["name"]: each["value"] for each in page.context.cookies()}["user"]
    page.get_by_label("Theme").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert not is_signed_in(live, page)
    assert live.http.get("/api/v1/me", headers={"Cookie": f"user={copied}"}).status_code == 401
    assert is_signed_in(live, other)


def test_settings_page_ends_all_sessions(live: WebServer, sign_in: Callable[[str, str], Page]) -> None:
    vera, again, ann = sign_in("vera", "v"), sign_in("vera", "v"), sign_in("ann", "a")
    expect(vera.get_by_role("button", name="End all sessions")).to_have_count(0)
    vera.get_by_role("button", name="End my sessions").click()
    vera.get_by_role("button", name="End sessions").click()
    expect(vera.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not is_signed_in(live, again)
    assert is_signed_in(live, ann)
    vera = sign_in("vera", "v")
    ann.get_by_role("button", name="End all sessions").click()
    ann.get_by_role("dialog").get_by_role("button", name="End all sessions").click()
    expect(ann.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not is_signed_in(live, vera)
    assert not is_signed_in(live, ann)
