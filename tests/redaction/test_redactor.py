"""Tests of redaction: what is masked, what is not, and that masked literals remain literals."""

import ast
import json
import re
import time
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flower.capture.decoder import ContentHeaders, Decoder
from flower.errors import InvalidRequest
from flower.records import Event
from flower.redaction import Redactor, Rules, mask_settings, mask_url, parse_rules
from flower.redaction.settings import mask_urls_in_text

SECRET = "hunter2"
USUAL = Redactor()

#: texts and their masked form
MASKED = {
    "{'password': 'hunter2', 'a': 1}": "{'password': '***', 'a': 1}",
    "{'a': {'api-key': [1, 'hunter2', (2,)], 'z': 0}}": "{'a': {'api-key': '***', 'z': 0}}",
    "{'apiKey': b'hunter2', 'pwd': None, 'token': ''}": "{'apiKey': b'***', 'pwd': None, 'token': ''}",
    "{'user_password': 'it\\'s hunter2', 'b': 2}": "{'user_password': '***', 'b': 2}",
    '(\'{"password": "a\\\\"hunter2"}\', 1)': '(\'{"password": "***"}\', 1)',
    "{'token': <Token hunter2 at 0x1>, 'b': 2}": "{'token': '***', 'b': 2}",
    "{'a': 'xxxx', 'password': 'hunter2...": "{'a': 'xxxx', 'password': '***...",
    "{'cfg': '{\"password\": \"hunter2 and more...": "{'cfg': '{\"password\": \"***...",
    "User(name='x', password='hunter2', n=1)": "User(name='x', password='***', n=1)",
    "Login(token=Token('hunter2', x=1), y=2)": "Login(token=***, y=2)",
    "ValueError('bad password=hunter2&x=1')": "ValueError('bad password=***&x=1')",
    "users' data {'password': 'hunter2'}": "users' data {'password': '***'}",
    "the reply was 'no {'password': 'hunter2'}": "the reply was 'no {'password': '***'}",
    "password=ab,hunter2, x=1": "password=***, x=1",
    "Authorization: Bearer hunter2abc": "Authorization: ***",
    "curl -H 'X-Auth: Bearer hunter2abcdef'": "curl -H 'X-Auth: Bearer ***'",
    "OperationalError('no route to postgres://ann:hunter2@db/shop')": (
        "OperationalError('no route to postgres://ann:***@db/shop')"
    ),
    "{'card': 4111111111111111, 'n': 5}": "{'card': '***card***', 'n': 5}",
    "('card 4111 1111 1111 1111 declined',)": "('card ***card*** declined',)",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl": "***jwt***",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----": "***private-key***",
    "[('Authorization', 'hunter2'), ('Accept', '*/*')]": "[('Authorization', '***'), ('Accept', '*/*')]",
    "a:\n  password: |\n    hunter2\n\n    b\n  host: x": "a:\n  password: ***\n  host: x",
    "postgres://bob:a/hunter2@db": "postgres://bob:***@db",
    "pip install git+https://ann:hunter2@example.org/app@v1": "pip install git+https://ann:***@example.org/app@v1",
    "amqp://u:hunter2@h1,amqp://u:hunter2@h2": "amqp://u:***@h1,amqp://u:***@h2",
    "smtp://u:hunter2@mail/?from=ann@example.org": "smtp://u:***@mail/?from=ann@example.org",
    "<a><password>hunter2</password></a>": "<a><password>***</password></a>",
    "get(auth=('ann', 'hunter2'))": "get(auth=('ann', '***'))",
}

KEPT = [
    "{'order_id': 17, 'customer': 'ann@example.com'}",
    "{'max_tokens': 4096, 'tokenizer': 'bpe'}",
    "{'passenger': 'Ann', 'secretary': None}",
    "Token refused",
    "KeyError('password')",
    "0.4111111111111111",
    "(1750000000123456, 4111111111111112, 4111111111111111)",
    "the password was wrong",
    "https://example.com/a:b",
    "basic functionality",
]


@pytest.mark.parametrize("text", MASKED)
def test_secrets_are_masked(text: str) -> None:
    assert USUAL.mask_text(text) == MASKED[text]


@pytest.mark.parametrize("text", KEPT)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert USUAL.mask_text(text) is text


_NAMES = st.sampled_from(["password", "Api-Key", "access_token", "client_secret"])
_PLAIN = st.text(alphabet="ab'\"\\\n,:=}{)(é ", max_size=12) | st.integers() | st.none() | st.binary(max_size=4)
_HIDDEN = st.builds(lambda a, b: f"{a}{SECRET}{b}", st.text(max_size=6), st.text(max_size=6))


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet="xyz", max_size=4), inner, max_size=3)
        | st.dictionaries(_NAMES, _HIDDEN | st.lists(_HIDDEN, max_size=2), max_size=2)
        | inner.map(repr)
        | st.tuples(inner)
    )


@settings(max_examples=500, deadline=None)
@given(st.recursive(_PLAIN, _nested, max_leaves=8))
def test_masked_literal_has_no_secret_and_is_a_literal(value: Any) -> None:
    text = repr(value)
    found = USUAL.mask_text(text)
    assert SECRET not in found
    ast.literal_eval(found)
    if SECRET not in text:
        assert ast.literal_eval(found) == value or "***" in found


@settings(max_examples=300, deadline=None)
@given(st.recursive(_PLAIN, _nested, max_leaves=8), st.integers(0, 200))
def test_truncated_literal_has_no_secret(value: Any, length: int) -> None:
    text = f"{repr({'a': value, 'password': SECRET})[:length]}..."
    assert SECRET not in USUAL.mask_text(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="pasword:='\"\\{}()[],. \n<>0", max_size=300))
def test_secret_is_masked_after_any_text(text: str) -> None:
    assert SECRET not in USUAL.mask_text(f"{text} password={SECRET}")


@pytest.mark.parametrize(
    "piece",
    [
        "'", "\\'", "password=(", "password='", "{'token': ", "secret:", "eyJaaaaaaaa", "4111 ", "://a:", "://a:1/@",
        "('token', ", "--token ", "<password>", "'name': 'password', ", "password: |\n ", "tokens:\n- ", "token is ",
        "<token a", "sk-aaaaaaaa", "auth=(", "?sig=", "cookie: a=b; ", "%3A%2F%2Fa%3A", "card ", "'value': 'x', ",
        "token: a: ", "-----BEGIN PRIVATE KEY-----", "<K.token: 1>", "token: {1, ",
    ],
)  # fmt: skip
def test_masking_takes_linear_time(piece: str) -> None:
    """In practice at most 0.5 s. A pattern with backtracking takes minutes."""
    started = time.process_time()
    masked = USUAL.mask_text(piece * (300_000 // len(piece)) + f" password={SECRET}")
    assert time.process_time() - started < 5
    assert SECRET not in masked


@settings(max_examples=300, deadline=None)
@given(st.recursive(_PLAIN, _nested, max_leaves=8).map(repr))
def test_masking_is_idempotent(text: str) -> None:
    masked = USUAL.mask_text(text)
    assert USUAL.mask_text(masked) == masked


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="pasword:='\"\\{}()[], \n<>@/", max_size=200))
def test_masked_text_is_at_most_twice_as_long(text: str) -> None:
    """Damaged text may be masked further the second time, but it does not grow without bound."""
    masked = USUAL.mask_text(text)
    again = USUAL.mask_text(masked)
    assert len(masked) <= 2 * len(text) + 20
    assert len(again) <= 2 * len(text) + 20


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abcdefghij klmnopqr.,;:()[]{}'\"=<>/?&0123456789-_\n", max_size=300))
def test_ordinary_text_is_unchanged(text: str) -> None:
    """The alphabet has no `s`, `t`, `u`, `w`, `v`: the names of secrets cannot be written with it, except `pin`."""
    assume(not re.search(r"pin|cc|pan", text))
    assert USUAL.mask_text(text) is text


def decoded(rules: Rules | None, **fields: Any) -> Event:
    out: list[Event] = []
    body = {"type": "task-received", "uuid": "a", "timestamp": 1.0, "hostname": "w", **fields}
    Decoder(rules=rules).decode_json(json.dumps(body).encode(), 1.0, out)
    return out[0]


@pytest.mark.parametrize("field", ["args", "kwargs", "result", "exception", "traceback"])
def test_every_text_of_an_event_is_masked(field: str) -> None:
    assert getattr(decoded(None, **{field: "{'password': 'hunter2'}"}), field) == "{'password': '***'}"


def test_batched_events_are_masked() -> None:
    out: list[Event] = []
    one = {"type": "task-sent", "uuid": "a", "timestamp": 1.0, "kwargs": "{'token': 'hunter2'}"}
    Decoder().decode_json(json.dumps([one, {**one, "kwargs": "{}"}]).encode(), 1.0, out)
    assert [each.kwargs for each in out] == ["{'token': '***'}", "{}"]


def test_custom_event_fields_are_masked() -> None:
    found = decoded(
        None, type="task-progress", step={"password": SECRET, "n": 1, "note": ["token=hunter2"]}, token=["x"]
    )
    assert found.data == {"step": {"password": "***", "n": 1, "note": ["token=***"]}, "token": "***"}


def test_values_that_are_no_literals_are_masked() -> None:
    value = {"speed": float("inf"), "password": SECRET, "token": 5, "deep": [{"secret": "x"}, f"token={SECRET}"]}
    found = {"speed": float("inf"), "password": "***", "token": 5, "deep": [{"secret": "***"}, "token=***"]}
    assert USUAL.mask_value(value) == found
    assert USUAL.mask_value(("a", {"pwd": 1})) == ["a", {"pwd": "***"}]


def test_other_serializers_and_escaped_characters() -> None:
    out: list[Event] = []
    Decoder(["json", "yaml"]).decode_message(
        b"{type: task-sent, uuid: a, timestamp: 1, kwargs: \"{'password': 'hunter2'}\"}",
        ContentHeaders("application/x-yaml", "utf-8", None), 1.0, out,
    )  # fmt: skip
    body = rb'{"type":"task-sent","uuid":"b","timestamp":1,"kwargs":"{\u0027passw\u006frd\u0027: \u0027hunter2\u0027}"}'
    Decoder().decode_json(body, 1.0, out)
    assert [each.kwargs for each in out] == ["{'password': '***'}"] * 2


def test_undecodable_message_is_logged_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    Decoder().decode_json(b'{"type": "task-sent", "password": "hunter2", "kwargs": "{\'token\': \'hunter2', 1.0, [])
    assert "unreadable message" in caplog.text
    assert SECRET not in caplog.text


def test_custom_names() -> None:
    rules = parse_rules(["pin*", "default", "!password_hint"], None, ())
    found = decoded(rules, kwargs="{'pin_code': 1234, 'password_hint': 'dog', 'token': 'x', 'n': 1}").kwargs
    assert found == "{'pin_code': '***', 'password_hint': 'dog', 'token': '***', 'n': 1}"
    assert decoded(parse_rules(["pin"], None, ()), kwargs="{'token': 'x'}").kwargs == "{'token': 'x'}"


def test_custom_patterns() -> None:
    rules = parse_rules(["none"], [r"ORD-\d{2", r"4}", "^whole$"], ())
    assert rules.patterns == (r"ORD-\d{2,4}", "^whole$")
    assert decoded(rules, args="('ORD-123', 'x')", result="whole").args == "('***pattern***', 'x')"
    assert decoded(rules, result="whole").result == "***pattern***"
    assert decoded(rules, kwargs="{'password': 'x'}").kwargs == "{'password': 'x'}"


@pytest.mark.parametrize("bad", [r"(a)\1", "(?=a)", "(", "a*", "x" * 2000, "((a{1000}){1000}){1000}"])
def test_invalid_patterns_are_rejected(bad: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_rules(None, [bad], ())


@pytest.mark.parametrize("bad", ["a/b", "(", "***", ""])
def test_invalid_names_are_rejected(bad: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_rules([bad, "x"], None, ())


def test_arguments_are_masked_by_position() -> None:
    rules = parse_rules(None, None, ["shop.login:1", "auth.*:*"])
    assert decoded(rules, name="shop.login", args="('ann', ['hunter2', (1,)], b'x,y')").args == "('ann', '***', b'x,y')"
    assert decoded(rules, name="shop.login", args="('ann', 'hunter2 and mo...").args == "('ann', '***'"
    assert decoded(rules, name="auth.check", args="('a, b', 'hunter2')").args == "('***', '***')"
    assert decoded(rules, name="auth.check", args="('hunter2',)").args == "('***',)"
    assert decoded(rules, name="shop.other", args="('ann', 'x')").args == "('ann', 'x')"
    with pytest.raises(InvalidRequest):
        parse_rules(None, None, ["shop.login:x"])


def test_redaction_can_be_disabled() -> None:
    rules = parse_rules(["none"], ["none"], ())
    assert not rules
    assert decoded(rules, kwargs="{'password': 'hunter2'}").kwargs == "{'password': 'hunter2'}"


def test_settings_and_urls() -> None:
    shown = mask_settings(
        {
            "broker_url": "amqp://ann:hunter2@host//",
            "broker_read_url": ["redis://:hunter2@a", "redis://:hunter2@b/1?password=hunter2"],
            "result_backend": "db+postgresql://ann:hunter2@db/x",
            "broker_transport_options": {"sentinel_kwargs": {"password": SECRET}, "visibility_timeout": 5},
            "redis_password": SECRET,
            "security_key": "/etc/key",
            "task_default_routing_key": "celery",
            "beat_schedule": {"x": {"task": "t", "kwargs": {"token": SECRET}}},
            "task_always_eager": False,
            "worker_concurrency": 4,
        }
    )
    assert SECRET not in repr(shown)
    assert shown["broker_url"] == "amqp://ann:**@host//"
    assert shown["broker_transport_options"]["visibility_timeout"] == 5
    assert (shown["task_default_routing_key"], shown["task_always_eager"]) == ("celery", False)
    assert shown["worker_concurrency"] == 4
    assert mask_url("redis://:p@ss@host") == "redis://:**@host"
    assert (
        mask_urls_in_text("Error 111 at amqp://ann:a/hunter2@mq//, retry") == "Error 111 at amqp://ann:**@mq//, retry"
    )
