"""Options that restrict access and are given but empty: from each source."""

import re
from pathlib import Path

import pytest

from flower.access_options import EMPTY_RULES
from flower.config import OPTION_NAMES, OPTION_TYPES, load_config, option_flag
from flower.errors import InvalidRequest

#: Other options that the program must have to reach the check, and that make an empty value open something.
PROXY = {"proxy_header": "X-User", "trusted_proxies": "10.0.0.1"}
OIDC = {"oidc_issuer": "https://login.example.com", "oauth2_key": "k", "roles": "*:viewer"}
USERS = {"basic_auth": "ann:secret"}

#: Every option of access: whether an empty value is rejected, alone and with other options.
REJECTED: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("basic_auth", {}, True),
    ("basic_auth", OIDC, True),
    ("auth", {}, True),
    ("auth", OIDC, True),
    ("auth", USERS, False),
    ("auth_provider", {}, True),
    ("auth_provider", USERS, False),
    ("auth_provider", OIDC, False),
    ("oidc_issuer", {}, True),
    ("oidc_issuer", USERS, False),
    ("oidc_groups_claim", OIDC, True),
    ("oidc_groups_claim", {}, False),
    ("oidc_scope", OIDC, False),
    ("oauth2_key", {}, False),
    ("oauth2_secret", OIDC, False),
    ("oauth2_redirect_uri", OIDC, False),
    ("proxy_header", {}, True),
    ("proxy_header", USERS, False),
    ("trusted_proxies", {}, True),
    ("trusted_proxies", USERS, False),
    ("proxy_groups_header", PROXY, True),
    ("proxy_groups_header", {}, False),
    ("roles", {}, True),
    ("roles", USERS, True),
    ("own_roles", USERS, False),
    ("metrics_token", {}, True),
    ("metrics_token", USERS, True),
    ("cookie_secret", USERS, False),
    ("allowed_hosts", {}, True),
    ("allowed_hosts", USERS, True),
)
EMPTY_TEXTS = ("", " ", ",")


def is_list(name: str) -> bool:
    return OPTION_TYPES[name].label == "list"


def case_id(value: object) -> str | None:
    return "+".join(value) or "alone" if isinstance(value, dict) else None


@pytest.mark.parametrize(("name", "others", "rejected"), REJECTED, ids=case_id)
@pytest.mark.parametrize("origin", ["environment", "command line", "file"])
def test_options_that_are_given_and_empty(
    name: str, others: dict[str, str], rejected: bool, origin: str, tmp_path: Path
) -> None:
    for text in EMPTY_TEXTS if is_list(name) else EMPTY_TEXTS[:1] if name == "cookie_secret" else EMPTY_TEXTS[:2]:
        given, environment = dict(others), {}
        if origin == "environment":
            environment, named = {f"FLOWER_{name.upper()}": text}, f"The environment variable FLOWER_{name.upper()}"
        elif origin == "command line":
            given, named = {**others, name: text}, option_flag(name)
        else:
            (tmp_path / "flowerconfig.py").write_text(f"{name} = {text!r}\n")
            named = f"flowerconfig.py: {name}"
        if rejected:
            with pytest.raises(InvalidRequest, match=f"^{re.escape(named)} is empty: ") as caught:
                load_config(given, environment, tmp_path, restricts_access=True)
            assert "\n" not in str(caught.value)
            assert caught.value.hint
        else:
            load_config(given, environment, tmp_path, restricts_access=True)


def test_every_option_of_access_is_decided() -> None:
    """An option that is added to the section of access must be added to the table above."""
    first, last = OPTION_NAMES.index("basic_auth"), OPTION_NAMES.index("cookie_secret")
    of_access = {*OPTION_NAMES[first : last + 1], "metrics_token", "allowed_hosts"}
    assert {name for name, _, _ in REJECTED} == of_access
    assert set(EMPTY_RULES) <= of_access


@pytest.mark.parametrize("value", ["None", "[]", "()", "['']", "[' ', '']"])
@pytest.mark.parametrize("name", ["basic_auth", "roles", "trusted_proxies"])
def test_empty_values_of_the_file(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text(f"{name} = {value}\n")
    with pytest.raises(InvalidRequest, match=rf"flowerconfig.py: {name} is empty"):
        load_config({}, {}, tmp_path, restricts_access=True)


@pytest.mark.parametrize("name", ["metrics_token", "auth"])
def test_none_in_the_file_is_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text(f"import os\n{name} = os.environ.get('NO_SUCH_VARIABLE')\n")
    with pytest.raises(InvalidRequest, match=f"{name} is empty"):
        load_config({}, {}, tmp_path, restricts_access=True)


def test_blank_cookie_secret_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="FLOWER_COOKIE_SECRET is empty: sessions could be forged"):
        load_config({}, {"FLOWER_COOKIE_SECRET": "  "}, tmp_path, restricts_access=True)


def test_last_source_counts(tmp_path: Path) -> None:
    config = load_config({"basic_auth": "ann:secret"}, {"FLOWER_BASIC_AUTH": ""}, tmp_path, restricts_access=True)
    assert config.basic_auth == ("ann:secret",)
    with pytest.raises(InvalidRequest, match=r"^--basic-auth is empty"):
        load_config({"basic_auth": ""}, {"FLOWER_BASIC_AUTH": "ann:secret"}, tmp_path, restricts_access=True)


def test_commands_that_serve_nothing_accept_empty_options(tmp_path: Path) -> None:
    assert load_config({}, {"FLOWER_BASIC_AUTH": ""}, tmp_path).basic_auth == ()


@pytest.mark.parametrize("text", [":", "ann:", ":secret", "ann:secret,bob:", "ann", " , ,"])
def test_empty_names_and_passwords_are_rejected(text: str, tmp_path: Path) -> None:
    """`FLOWER_BASIC_AUTH=$USER:$PASSWORD` with unset variables."""
    with pytest.raises(InvalidRequest, match="entries must be user:password; invalid entries: 1"):
        load_config({"basic_auth": text}, {}, tmp_path)
