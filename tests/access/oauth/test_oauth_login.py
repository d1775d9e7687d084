"""OAuth login with a local provider: the redirects with real requests, and every login that must be denied."""

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from flower.access.login_throttle import PAIR_LIMIT
from flower.access.oauth.provider import email_allowlist, impossible_addresses
from flower.errors import InvalidRequest
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from flower.web.login import MAX_ERRORS_PER_MINUTE
from tests.helpers.oauth_provider import CLIENT, SECRET, LocalGoogle, LocalProvider
from tests.helpers.web_server import WebServer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    with LocalProvider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(running: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> LocalProvider:
    monkeypatch.setenv("SSL_CERT_FILE", running.certificate)
    running.claims = {"sub": "17", "email": "ann@example.com", "email_verified": True}
    running.id_claims, running.emails, running.groups, running.group_queries = {}, [], [], []
    running.sign_with = running.key
    return running


def served(provider: LocalProvider, **settings: Any) -> WebServer:
    """A server with the client id of the provider, by OpenID Connect unless `auth_provider` is given."""
    if "auth_provider" not in settings:
        settings.setdefault("oidc_issuer", provider.issuer)
    environment = {
        "FLOWER_GITHUB_OAUTH_DOMAIN": provider.domain,
        "FLOWER_GITLAB_OAUTH_DOMAIN": provider.domain,
        "FLOWER_OAUTH2_OKTA_BASE_URL": provider.issuer,
        **settings.pop("environment", {}),
    }
    return WebServer(example_store(), environment=environment, oauth2_key=CLIENT, oauth2_secret=SECRET, **settings)


def log_in(live: WebServer, provider: LocalProvider, page: str = "/tasks", **cookies: str) -> httpx.Response:
    """Follow the redirects from a page to the provider and back, and return the response to the callback."""
    sent = live.http.get(page, headers={"Accept": "text/html"})
    assert sent.status_code == 302, sent.text
    there = live.http.get(sent.headers["location"])
    assert there.status_code == 302, there.text
    back = httpx.get(there.headers["location"], verify=ssl.create_default_context(cafile=provider.certificate))
    assert back.status_code == 307, back.text
    where = urlsplit(back.headers["location"])
    return live.http.get(f"{where.path}?{where.query}")


def assert_denied(live: WebServer, provider: LocalProvider, words: str) -> None:
    response = log_in(live, provider)
    assert response.status_code == 403
    assert words in response.text
    assert "user" not in live.http.cookies
    assert live.http.get("/api/v1/me").status_code == 401


def test_openid(provider: LocalProvider) -> None:
    provider.claims["groups"] = ["ops", "all"]
    with served(provider, auth=".*@example.com", roles=("group:ops:operator", "*:viewer")) as live:
        page = "/tasks?state=FAILURE&search=a+b"
        done = log_in(live, provider, page)
        assert (done.status_code, done.headers["location"]) == (302, page)
        assert provider.asked["scope"] == "openid email profile"
        assert provider.asked["redirect_uri"] == f"http://127.0.0.1:{live.port}/login"
        assert live.http.get("/tasks").status_code == 200
        me = live.http.get("/api/v1/me").json()
        assert me == {"name": "ann@example.com", "auth_method": "session", "permissions": ["tasks", "view", "workers"]}
        assert [entry.outcome for entry in live.ledger.audit.entries(AuditFilter(user="ann@example.com"), limit=5)] == [
            "done"
        ]
        assert live.http.post("/api/task/revoke/x").status_code == 403
        kept = {"Cookie": f"user={live.http.cookies['user']}"}
        assert live.http.get("/tasks", headers=kept).status_code == 200
        live.http.get("/logout")
        live.http.post("/logout", headers={"X-XSRFToken": live.http.cookies["_xsrf"]})
        assert live.http.get("/tasks").status_code == 302
        assert live.http.get("/tasks", headers=kept).status_code == 302


def test_issuer_without_allowlist(provider: LocalProvider) -> None:
    provider.id_claims = {"email": "bob@else.where", "groups": "ops"}
    with served(provider, roles=("group:ops:operator",), oidc_scope="openid groups") as live:
        assert log_in(live, provider).status_code == 302
        assert provider.asked["scope"] == "openid groups"
        assert live.http.get("/api/v1/me").json()["name"] == "bob@else.where"


def test_email_that_is_not_allowed(provider: LocalProvider) -> None:
    provider.claims["email"] = "eve@evil.example"
    with served(provider, auth="ann@example.com|bob@example.com") as live:
        assert_denied(live, provider, "Access denied to eve@evil.example")
        [entry] = live.ledger.audit.entries(AuditFilter(action="login"), limit=5)
        assert entry.outcome == "refused"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"nonce": "other"}, "ID token is invalid"),
        ({"aud": "another"}, "ID token is invalid"),
        ({"iss": "https://evil.example"}, "ID token is invalid"),
        ({"exp": 1}, "ID token is invalid"),
        ({"azp": "another"}, "another application"),
        ({"sub": "18"}, "belong to different users"),
        ({"email": "ann@example.com", "email_verified": False}, "has not verified"),
    ],
)
def test_invalid_id_tokens(provider: LocalProvider, claims: dict[str, Any], words: str) -> None:
    provider.id_claims = claims
    with served(provider) as live:
        assert_denied(live, provider, words)


@pytest.mark.parametrize(
    "key", [RSAKey.generate_key(2048, {"kid": "first"}, private=True), OctKey.import_key(SECRET * 2, {"kid": "first"})]
)
def test_invalid_signatures(provider: LocalProvider, key: Any) -> None:
    provider.sign_with = key
    with served(provider) as live:
        assert_denied(live, provider, "ID token is invalid")


def test_state_of_another_browser(provider: LocalProvider) -> None:
    with served(provider) as live:
        there = live.http.get("/login").headers["location"]
        state = parse_qs(urlsplit(there).query)["state"][0]
        for query in (f"code=x&state={state}y", "code=x", "code=x&state="):
            response = live.http.get(f"/login?{query}")
            assert response.status_code == 403
            assert "State tokens do not match. Try to sign in again." in response.text
        live.http.cookies.clear()
        assert "State tokens" in live.http.get(f"/login?code=x&state={state}").text
        live.http.get("/login")
        cookie = live.http.cookies["oauth_state"]
        assert live.http.get("/api/v1/me", headers={"Cookie": f"user={cookie}"}).status_code == 401


def test_invalid_code(provider: LocalProvider) -> None:
    with served(provider) as live:
        there = live.http.get("/login").headers["location"]
        state = parse_qs(urlsplit(there).query)["state"][0]
        response = live.http.get(f"/login?code=made-up&state={state}")
        assert response.status_code == 403
        assert "The provider denied the sign-in" in response.text
        there = live.http.get("/login").headers["location"]
        state = parse_qs(urlsplit(there).query)["state"][0]
        denied = live.http.get(f"/login?error=access_denied&error_description=%3Cb%3Eno&state={state}")
        assert denied.status_code == 403
        assert "&lt;b&gt;no" in denied.text


def begin_login(live: WebServer) -> str:
    """The state of a new login of this browser."""
    return parse_qs(urlsplit(live.http.get("/login").headers["location"]).query)["state"][0]


def test_errors_without_a_login_of_this_browser_are_not_recorded(provider: LocalProvider) -> None:
    with served(provider) as live:
        for query in ("error=x&error_description=call%20me", "error=x&state=made-up"):
            response = live.http.get(f"/login?{query}")
            assert response.status_code == 403
            assert "call me" not in response.text
        state = begin_login(live)
        assert "State tokens do not match" in live.http.get("/login?error=x&state=made-up").text
        assert not live.ledger.audit.entries(AuditFilter(action="login"), limit=5)
        assert "denied the sign-in: no" in live.http.get(f"/login?error=x&error_description=no&state={state}").text
        [entry] = live.ledger.audit.entries(AuditFilter(action="login"), limit=5)
        assert (entry.outcome, entry.message) == ("refused", "The provider denied the sign-in: no")
        # the state is valid for one answer
        assert "State tokens do not match" in live.http.get(f"/login?error=x&state={state}").text


def test_errors_with_a_valid_state_are_limited(provider: LocalProvider) -> None:
    with served(provider) as live:
        state = begin_login(live)
        kept = {"Cookie": f"oauth_state={live.http.cookies['oauth_state']}"}
        url = f"/login?error=x&error_description={'y' * 2000}&state={state}"
        statuses = [live.http.get(url, headers=kept).status_code for _ in range(100)]
        assert statuses == [403] * PAIR_LIMIT.amount + [429] * (100 - PAIR_LIMIT.amount)
        entries = live.ledger.audit.entries(AuditFilter(action="login"), limit=100)
        assert len(entries) == PAIR_LIMIT.amount
        assert all(len(entry.message) == 300 for entry in entries)


def test_provider_unreachable(provider: LocalProvider) -> None:
    with served(provider, oidc_issuer="https://127.0.0.1:1") as live:
        response = live.http.get("/login")
        assert response.status_code == 503
        assert "is unreachable" in response.text


def test_sign_ins_at_an_unreachable_provider_are_logged_a_few_times(
    provider: LocalProvider, caplog: pytest.LogCaptureFixture
) -> None:
    with served(provider, oidc_issuer="https://127.0.0.1:1") as live:
        assert {live.http.get("/login").status_code for _ in range(50)} == {503}
    assert len([record for record in caplog.records if record.name == "flower.web.login"]) <= MAX_ERRORS_PER_MINUTE


def test_redirect_to_local_pages_only(provider: LocalProvider) -> None:
    with served(provider, url_prefix="bell") as live:
        for given in ("https://evil.example", "//evil.example", "/other", "/bell/\\evil"):
            there = live.http.get("/bell/login", params={"next": given}).headers["location"]
            back = httpx.get(there, verify=ssl.create_default_context(cafile=provider.certificate))
            where = urlsplit(back.headers["location"])
            assert where.path == "/bell/login"
            assert live.http.get(f"{where.path}?{where.query}").headers["location"] == "/bell/"


def test_redirect_or_error(provider: LocalProvider) -> None:
    with served(provider) as live:
        page = live.http.get("/task/a?x=1")
        assert (page.status_code, page.headers["location"]) == (302, "/login?next=%2Ftask%2Fa%3Fx%3D1")
        browser = live.http.get("/api/tasks", headers={"Accept": "text/html,*/*"})
        assert (browser.status_code, browser.headers["location"]) == (302, "/login?next=%2Fapi%2Ftasks")
        for accept in ("application/json", "*/*"):
            response = live.http.get("/api/tasks", headers={"Accept": accept})
            assert (response.status_code, response.text) == (401, "Access denied")
        assert live.http.post("/api/task/revoke/x").status_code == 403


def test_basic_auth_and_oauth_together(provider: LocalProvider) -> None:
    with served(provider, basic_auth=("door:key",)) as live:
        assert live.http.get("/tasks").status_code == 401
        live.http.auth = ("door", "key")
        assert log_in(live, provider).status_code == 302
        assert live.http.get("/api/v1/me").json()["name"] == "ann@example.com"
        live.http.auth = ("door", "wrong")
        assert live.http.get("/tasks").status_code == 401
        assert live.http.get("/login").status_code == 302


def test_github(provider: LocalProvider) -> None:
    provider.emails = [
        {"email": "boss@example.com", "verified": False, "primary": False},
        {"email": "ann@else.where", "verified": True, "primary": True},
        {"email": "ann@example.com", "verified": True, "primary": False},
    ]
    name = "flower.views.auth.GithubLoginHandler"
    with served(provider, auth_provider=name, auth=".*@example.com") as live:
        assert log_in(live, provider).status_code == 302
        assert provider.asked["scope"] == "user:email"
        assert live.http.get("/api/v1/me").json()["name"] == "ann@example.com"
    with served(provider, auth_provider="github", auth="boss@example.com") as live:
        assert_denied(live, provider, "Access denied to ann@else.where, ann@example.com")


def test_gitlab(provider: LocalProvider) -> None:
    name = "flower.views.auth.GitLabLoginHandler"
    groups = {"FLOWER_GITLAB_AUTH_ALLOWED_GROUPS": "company/ops, other", "FLOWER_GITLAB_MIN_ACCESS_LEVEL": "30"}
    settings = {"auth_provider": name, "auth": "ann@example.com", "environment": groups}
    provider.groups = [f"g{number}" for number in range(100)]
    with served(provider, **settings) as live:
        assert_denied(live, provider, "not a member of an allowed group")
        provider.groups.append("company/ops")
        assert log_in(live, provider).status_code == 302
        assert provider.asked["scope"] == "read_api"
        assert {params["min_access_level"] for params in provider.group_queries} == {"30"}
    with served(provider, auth_provider="gitlab", auth="ann@example.com", roles=("group:g7:viewer",)) as live:
        assert log_in(live, provider).status_code == 302
        assert live.http.get("/api/v1/me").json()["permissions"] == ["view"]
    provider.claims["confirmed_at"] = None
    with served(provider, auth_provider="gitlab", auth="ann@example.com") as live:
        assert_denied(live, provider, "has not verified")


def test_okta(provider: LocalProvider) -> None:
    with served(provider, auth_provider="flower.views.auth.OktaLoginHandler", auth="ann@example.com") as live:
        assert log_in(live, provider).status_code == 302
        assert provider.asked["scope"] == "openid email"
        live.http.cookies.clear()
        provider.claims["email_verified"] = "false"
        assert_denied(live, provider, "has not verified")


def test_google(provider: LocalProvider) -> None:
    LocalGoogle.base = provider.issuer
    with served(provider, auth_provider="tests.helpers.oauth_provider.LocalGoogle", auth="ann@example.com") as live:
        assert log_in(live, provider).status_code == 302
        assert provider.asked["scope"] == "profile email"
        live.http.cookies.clear()
        provider.claims["verified_email"] = False
        assert_denied(live, provider, "has not verified")
    with served(provider, auth_provider="flower.views.auth.GoogleAuth2LoginHandler", auth="ann@example.com") as live:
        there = urlsplit(live.http.get("/login").headers["location"])
        assert there.hostname == "accounts.google.com"


def test_custom_provider_class(provider: LocalProvider) -> None:
    with served(provider, auth_provider="tests.helpers.oauth_provider:Guest", auth="mia@example.com") as live:
        there = live.http.get("/login").headers["location"]
        state = parse_qs(urlsplit(there).query)["state"][0]
        assert live.http.get("/login", params={"code": "mia", "state": state}).status_code == 302
        assert live.http.get("/api/v1/me").json()["name"] == "mia@example.com"


def test_tornado_handler_without_tornado(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tornado", None)
    monkeypatch.delitem(sys.modules, "tests.helpers.tornado_login_handler", raising=False)
    with pytest.raises(InvalidRequest, match="is not supported"):
        WebServer(
            example_store(),
            environment={},
            auth_provider="tests.helpers.tornado_login_handler.Handler",
            auth="ann@example.com",
        )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth_provider": "nonsense"}, "neither an import path nor"),
        ({"auth_provider": "no.such.module.Login"}, "cannot be imported"),
        ({"auth_provider": "flower.views.auth.NoSuchHandler"}, "cannot be imported"),
        ({"auth_provider": "tests.helpers.oauth_provider.Unfinished"}, "not a class with the methods"),
        ({"auth_provider": "tests.helpers.tornado_login_handler.Handler"}, "is not supported"),
        ({"auth_provider": "okta"}, "FLOWER_OAUTH2_OKTA_BASE_URL"),
        ({"auth_provider": "google", "oauth2_key": ""}, "--oauth2-key"),
        ({"auth_provider": "oidc"}, "--oidc-issuer"),
        ({"auth_provider": ""}, "--auth-provider"),
        ({"auth_provider": "google", "auth": "*@*"}, "Invalid '--auth' option"),
        ({"auth_provider": "google", "auth": "*@example.com"}, "the dot is required"),
        ({"auth_provider": "", "auth": "ann:secret"}, "did you mean --basic-auth"),
    ],
)
def test_invalid_options(settings: dict[str, str], words: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"auth": "ann@example.com", "oauth2_key": "k", **settings}
    with pytest.raises(InvalidRequest, match=words.replace("*", r"\*")):
        WebServer(example_store(), environment={}, **given)


@pytest.mark.parametrize("auth", [r".*@example\.com", r"a@example.com | ann@example\.com ", r" ann@example\.com"])
def test_escapes_and_blanks_in_the_allowlist(auth: str) -> None:
    allowed = email_allowlist(auth)
    assert allowed("ann@example.com")
    assert not allowed("ann@exampleXcom")
    assert not impossible_addresses(auth)


def test_entries_that_admit_no_user_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    possible = "ann@example.com|ann+x@sub.example.com|o'neil@example|ann.b@xn--e1afmkfd.com"
    assert impossible_addresses(possible) == impossible_addresses("ann.*@example.com") == []
    wrong = [
        "example.com",
        "^ann@example.com",
        "ann@example.com$",
        "(a",
        "b)@example.com",
        "a b@example.com",
        ".@x.com",
    ]
    assert impossible_addresses("|".join(wrong)) == wrong
    WebServer(example_store(), auth="ann@example.com|example.com", oidc_issuer="https://x", oauth2_key="k")
    WebServer(example_store(), auth="ann:secret", oidc_issuer="https://x", oauth2_key="k")
    first, second = caplog.messages
    assert first.startswith("--auth: 'example.com' is not an e-mail address and admits no user")
    assert "an entry is not an e-mail" in second
    assert "secret" not in second


def test_github_app_without_the_email_permission(provider: LocalProvider) -> None:
    with served(provider, auth_provider="github", auth="ann@example.com") as live:
        provider.emails_status = 403
        try:
            assert_denied(live, provider, "A GitHub App needs the account permission “Email addresses: Read-only”")
        finally:
            provider.emails_status = 200


def test_email_allowlist() -> None:
    one, several, pattern = (
        email_allowlist("ann@example.com"),
        email_allowlist("a@x.com|b@x.com"),
        email_allowlist("ann.*@example.com"),
    )
    assert one("ann@example.com")
    assert not any(map(one, ["Ann@example.com", "ann@exampleXcom", "xann@example.com", "ann@example.com\n", ""]))
    assert several("a@x.com")
    assert several("b@x.com")
    assert not several("a@x.com|b@x.com")
    assert not email_allowlist("a@x.com|")("")
    assert pattern("ann@example.com")
    assert pattern("anna.lena+x@example.com")
    assert not any(
        map(pattern, ["bob@example.com", "ann@evil@example.com", "ann@example.com.evil", "ann\n@example.com"])
    )
    for wrong in (".*@.*", "a.*|b@x.com", "a@.*", ".*", "a@x.com*", "*@example.com", "ann*@example.com", "|", " | "):
        with pytest.raises(InvalidRequest, match="Invalid '--auth' option"):
            email_allowlist(wrong)
