"""The end of sessions: at a sign-out, a change of the password, or for all sessions; also on other servers of the same
store."""

import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from flower.access.passwords import Passwords, hash_password
from flower.access.sessions import SESSION_MAX_AGE, CookieSigner, Sessions, end_all_sessions
from flower.cli.base import EXIT_USAGE
from flower.http.v1.openapi_examples import example_store
from flower.store.factory import open_ledger
from flower.store.ledger.audit import AuditFilter
from tests.helpers.sample_store import on_disk, run
from tests.helpers.servers import wait_for
from tests.helpers.users import ANN, OLGA, ROLES, USERS, VERA, bearer, post_token
from tests.helpers.web_server import WebServer


def open_server(folder: Path, **settings: Any) -> WebServer:
    return WebServer(example_store(), folder=folder, **{"basic_auth": USERS, "roles": ROLES, **settings})


def sign_in(live: WebServer, pair: tuple[str, str]) -> dict[str, str]:
    """The header of a new session. The client of the server is not changed."""
    with httpx.Client(base_url=live.http.base_url) as browser:
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', browser.get("/login").text))
        response = browser.post("/login", data={**form, "name": pair[0], "password": pair[1]})
        assert response.status_code == 302, response.text
        xsrf = browser.cookies["_xsrf"]
        return {"Cookie": f"user={browser.cookies['user']}; _xsrf={xsrf}", "X-XSRFToken": xsrf}


def user_of(live: WebServer, session: dict[str, str]) -> str | None:
    response = live.http.get("/api/v1/me", headers=session)
    return response.json()["name"] if response.status_code == 200 else None


def test_copied_cookie_is_refused_after_sign_out_on_every_server(tmp_path: Path) -> None:
    with open_server(tmp_path) as first, open_server(tmp_path) as second:
        session, other = sign_in(first, ANN), sign_in(second, ANN)
        assert user_of(first, session) == user_of(second, session) == user_of(first, other) == "ann"
        assert first.http.post("/logout", headers=session).status_code == 302
        assert user_of(first, session) is user_of(second, session) is None
        assert user_of(first, other) == user_of(second, other) == "ann"
        # again: nothing to end
        assert second.http.post("/logout", headers=session).status_code == 302
    with open_server(tmp_path) as restarted:
        assert user_of(restarted, session) is None
        assert user_of(restarted, other) == "ann"


@pytest.mark.parametrize("secret", ["", "a key for all servers"])
def test_session_ends_with_a_change_of_the_password(tmp_path: Path, secret: str) -> None:
    hashed = hash_password("a")
    with open_server(tmp_path, cookie_secret=secret) as live:
        ann, vera = sign_in(live, ANN), sign_in(live, VERA)
    with open_server(tmp_path, cookie_secret=secret, basic_auth=("ann:other", "vera:v")) as live:
        assert user_of(live, ann) is None
        assert user_of(live, vera) == "vera"
    with open_server(tmp_path, cookie_secret=secret, basic_auth=(f"ann:{hashed}", "olga:o", "vera:v")) as live:
        assert user_of(live, ann) is None
        ann = sign_in(live, ANN)
    with open_server(tmp_path, cookie_secret=secret, basic_auth=("vera:v", f"ann:{hashed}")) as live:
        assert user_of(live, ann) == "ann"
    with open_server(tmp_path, cookie_secret=secret, basic_auth=("vera:v",)) as live:
        assert user_of(live, ann) is None


def test_end_all_own_sessions(tmp_path: Path) -> None:
    with open_server(tmp_path) as live:
        first, second, vera = sign_in(live, OLGA), sign_in(live, OLGA), sign_in(live, VERA)
        ended = live.http.delete("/api/v1/sessions", headers=first)
        assert ended.status_code == 200
        assert ended.json()["user"] == "olga"
        assert user_of(live, first) is user_of(live, second) is None
        assert user_of(live, vera) == "vera"
        assert live.http.get("/api/v1/me", auth=OLGA).status_code == 200
        assert user_of(live, sign_in(live, OLGA)) == "olga"
        [entry] = live.ledger.audit.entries(AuditFilter(action="session.end"), limit=5)
        assert (entry.user, entry.targets, entry.outcome) == ("olga", ("olga",), "done")


def test_end_sessions_of_other_users(tmp_path: Path) -> None:
    with open_server(tmp_path) as live:
        olga, vera, ann = sign_in(live, OLGA), sign_in(live, VERA), sign_in(live, ANN)
        for query in ("user=vera", "all_users=true"):
            assert live.http.delete(f"/api/v1/sessions?{query}", headers=olga).status_code == 403
        assert user_of(live, vera) == "vera"
        assert live.http.delete("/api/v1/sessions?user=vera", headers=ann).status_code == 200
        assert user_of(live, vera) is None
        assert user_of(live, olga) == "olga"
        assert live.http.delete("/api/v1/sessions?user=vera&all_users=true", headers=ann).status_code == 400
        assert live.http.delete("/api/v1/sessions?all_users=true", headers=ann).json()["user"] is None
        assert user_of(live, olga) is user_of(live, ann) is None
        assert user_of(live, sign_in(live, VERA)) == "vera"


def test_command_ends_sessions(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "store")
    with open_server(store) as live:
        ann, vera = sign_in(live, ANN), sign_in(live, VERA)
        assert run("session", "end", folder=tmp_path).returncode == EXIT_USAGE
        assert run("session", "end", "--all", "--user=ann", f"--db={store}", folder=tmp_path).returncode == EXIT_USAGE
        ended = run("session", "end", "--user=ann", f"--db={store}", folder=tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "Ended the sessions of ann.\n")
        assert (user_of(live, ann), user_of(live, vera)) == (None, "vera")
        assert run("session", "end", "--all", f"--db={store}", folder=tmp_path).returncode == 0
        assert user_of(live, vera) is None
        second, first = live.ledger.audit.entries(AuditFilter(action="session.end"), limit=5)
        assert (first.targets, second.targets, first.auth_method) == (("ann",), ("*",), "cli")


def test_tokens_cannot_sign_out_their_owner(tmp_path: Path) -> None:
    with open_server(tmp_path) as live:
        olga = sign_in(live, OLGA)
        token = bearer(post_token(live, OLGA, permissions=["view", "tasks"])["secret"])
        assert live.http.delete("/api/v1/sessions", headers=token).status_code == 403
        assert user_of(live, olga) == "olga"
        assert live.http.delete("/api/v1/sessions").status_code == 401


def test_streams_of_an_ended_session_end_within_seconds(tmp_path: Path) -> None:
    with open_server(tmp_path) as live, open_server(tmp_path) as other:
        session = sign_in(live, VERA)
        text: list[str] = []

        def read() -> None:
            with live.http.stream("GET", "/api/v1/stream?topics=status", headers=session) as response:
                text.extend(response.iter_lines())

        reader = threading.Thread(target=read)
        reader.start()
        wait_for("the stream", lambda: len(live.context.live) == 1)
        other.http.post("/logout", headers=session)
        ended = time.monotonic()
        reader.join(30)
        assert not reader.is_alive()
        assert time.monotonic() - ended < 10
        assert "event: end" in text
        assert any("session has expired" in line for line in text)


def test_sessions_of_earlier_versions_have_no_id_and_end(tmp_path: Path) -> None:
    with open_server(tmp_path, cookie_secret="kept") as live:
        signer = CookieSigner(lambda: b"kept")
        old = signer._signers["user"].dumps({"name": "ann", "by": "password", "groups": []})
        assert user_of(live, {"Cookie": f"user={old}"}) is None


def test_ended_sessions_are_removed_when_they_would_have_expired(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    sessions = Sessions(CookieSigner(lambda: b"key"), ledger.sessions, Passwords(("ann:a",)))
    session = sessions.load(sessions.start("ann", "password"))
    assert session is not None
    sessions.end(session)
    end_all_sessions(ledger.sessions, "bob")
    end_all_sessions(ledger.sessions, None)
    now = time.time()
    assert ledger.sessions.prune(now) == 0
    assert ledger.sessions.prune(now + SESSION_MAX_AGE + 1) == 3
    assert not ledger.sessions.is_ended(session.id, "ann", now + 1)
    ledger.close()


def test_sessions_do_not_need_a_ledger_file(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    sessions = Sessions(CookieSigner(lambda: b"key"), ledger.sessions, Passwords(("ann:a",)))
    assert sessions.load(sessions.start("ann", "password")) is not None
    assert ledger.sessions.prune(time.time()) == 0
    assert not (tmp_path / "store").exists()
    ledger.close()
