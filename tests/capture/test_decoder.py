"""Decoding of message bodies: the fast path for events of Celery, the lenient path for the rest, never an error."""

import json
import logging
import math
import struct
import zlib
from base64 import b64encode
from typing import Any
from uuid import UUID

import msgspec
import pytest
from amqp.basic_message import Message as BasicMessage
from celery import Celery
from celery.events.event import Event as celery_event
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from kombu.utils.json import dumps

from flower.capture import coerce
from flower.capture.amqp_frames import FrameParser
from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.redis import RedisParser
from flower.capture.source import ConnectionLost
from flower.records import Event

NOW = 1_750_000_000.0
ID = "6f1a0a5e-6d0c-4a68-9a4e-0f1c6a0f3b11"


def decoded(body: bytes, decoder: Decoder | None = None) -> list[Event]:
    out: list[Event] = []
    (decoder or Decoder()).decode_json(body, NOW, out)
    return out


def one(**fields: Any) -> Event:
    (event,) = decoded(json.dumps({"type": "task-started", "uuid": ID, "timestamp": 1.5, **fields}).encode())
    return event


#: Every event that Celery 5.7 sends, with the fields its source gives them.
_HEART = {"freq": 2.0, "active": 1, "processed": 7, "loadavg": [0.1, 0.2, 0.3],
          "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux"}  # fmt: skip
_RECEIVED = {"name": "a.b", "args": "(1, 'é')", "kwargs": "{}", "root_id": ID, "parent_id": None, "retries": 0,
             "eta": None, "expires": "2026-01-01T00:00:00+00:00"}  # fmt: skip
STANDARD: dict[str, dict[str, Any]] = {
    "task-sent": {**_RECEIVED, "queue": "celery", "exchange": "", "routing_key": "celery"},
    "task-received": _RECEIVED,
    "task-started": {},
    "task-succeeded": {"result": "'ok'", "runtime": 0.25},
    "task-failed": {"exception": "ValueError('x')", "traceback": "Traceback …\n"},
    "task-retried": {"exception": "ValueError('x')", "traceback": ""},
    "task-revoked": {"terminated": True, "signum": "SIGTERM", "expired": None},
    "task-rejected": {"requeue": False},
    "task-cancelled": {},
    "worker-online": _HEART,
    "worker-heartbeat": _HEART,
    "worker-offline": _HEART,
}


def standard(kind: str) -> dict[str, Any]:
    """As Celery's dispatcher builds it."""
    uuid = {"uuid": ID} if kind.startswith("task-") else {}
    made = celery_event(kind, hostname="w1@host", utcoffset=-2, pid=77, clock=1234, **uuid, **STANDARD[kind])
    return dict(made)


@pytest.mark.parametrize("kind", STANDARD)
def test_events_of_celery_use_the_fast_path(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("took the tolerant path")

    monkeypatch.setattr(Decoder, "_decode_leniently", never)
    fields = standard(kind)
    (event,) = decoded(json.dumps(fields).encode())
    for name, value in fields.items():
        assert getattr(event, name) == (tuple(value) if isinstance(value, list) else value)
    assert len(decoded(json.dumps([fields] * 24).encode())) == 24


@pytest.mark.parametrize("kind", STANDARD)
def test_lenient_path_agrees_with_the_fast_path(kind: str) -> None:
    fields = standard(kind)
    assert coerce.parse_event(fields, NOW) == msgspec.json.decode(json.dumps(fields), type=Event)


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(list(STANDARD)), "timestamp": st.floats(0, 1e10), "uuid": st.text(min_size=1)},
        optional={
            "args": st.text(), "clock": st.integers(-(2**63), 2**63 - 1), "runtime": st.floats(-1e9, 1e9),
            "terminated": st.booleans(), "signum": st.integers(-99, 99) | st.text(), "hostname": st.text(min_size=1),
            "loadavg": st.lists(st.floats(-9, 9), max_size=3),
        },
    )
)  # fmt: skip
def test_paths_agree_on_everything_the_fast_path_accepts(fields: dict[str, Any]) -> None:
    try:
        fast = msgspec.json.decode(json.dumps(fields).encode(), type=Event)
    except msgspec.MsgspecError:
        return
    assert coerce.parse_event(fields, NOW) == fast


def test_custom_events_and_unknown_fields_keep_their_data() -> None:
    (event,) = decoded(
        json.dumps(
            {"type": "task-progress", "uuid": ID, "timestamp": 2, "pct": 55.5, "step": {"n": [1, None]}}
        ).encode()
    )
    assert (event.type, event.data) == ("task-progress", {"pct": 55.5, "step": {"n": [1, None]}})
    assert one(colour="red").data == {"colour": "red"}
    assert one(data={"pct": 1}).data == {"data": {"pct": 1}}
    assert one(when={"__type__": "datetime", "__value__": "2026-01-02T03:04:05"}).data == {
        "when": "2026-01-02T03:04:05"
    }


def test_uuid_objects_become_their_usual_text() -> None:
    """C08: `apply_async(task_id=uuid.uuid4())`; kombu writes a marker and hexadecimal digits."""
    identifier = UUID(ID)
    body = dumps(
        {"type": "task-received", "uuid": identifier, "timestamp": 1, "root_id": identifier, "order": identifier}
    )
    (event,) = decoded(body.encode())
    assert (event.uuid, event.root_id, event.data) == (ID, ID, {"order": ID})
    hyphenated = {"__type__": "uuid", "__value__": ID}
    event = one(uuid={"__type__": "uuid", "__value__": UUID(ID).hex}, root_id=hyphenated, parent_id=identifier.hex)
    assert (event.uuid, event.root_id, event.parent_id) == (ID, ID, identifier.hex)
    assert one(hostname=hyphenated, name=hyphenated, orders=[{"id": hyphenated}]).data == {"orders": [{"id": ID}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"), (0, "0"), (2**70, str(2**70)), (1.5, "1.5"), (True, "true"), ([7, "a"], '[7, "a"]'),
        ({"id": 7}, '{"id": 7}'), ({"__type__": "uuid", "__value__": {"hex": "x"}},
        '{"__type__": "uuid", "__value__": {"hex": "x"}}'),
    ],
)  # fmt: skip
def test_ids_of_other_json_types_become_text(value: object, text: str) -> None:
    event = one(uuid=value, root_id=value, parent_id=value)
    assert (event.uuid, event.root_id, event.parent_id) == (text, text, text)


def test_names_that_are_too_long_are_shortened_and_counted() -> None:
    decoder = Decoder()
    fields = ("uuid", "root_id", "parent_id", "hostname", "name", "queue", "exchange", "routing_key", "eta", "sw_ver")
    for size, is_shortened in ((512, False), (513, True), (5_000_000, True)):
        body = json.dumps({"type": "task-sent", "timestamp": 1, **dict.fromkeys(fields, "x" * size)}).encode()
        (event,) = decoded(body, decoder)
        for field in fields:
            value = getattr(event, field)
            assert len(value) == 512
            assert ("…" in value) == is_shortened
    assert decoder.shortened == dict.fromkeys(fields, 2)
    first, second = (one(name="x" * 600 + end).name for end in "ab")
    assert first != second


def test_types_and_fields_that_are_too_long_are_shortened() -> None:
    decoder = Decoder()
    body = {"type": "task-" + "x" * 300, "uuid": ID, "timestamp": 1, "y" * 300: 1, "inner": [{"z" * 300: 2}]}
    (event,) = decoded(json.dumps(body).encode(), decoder)
    assert len(event.type) == 256
    assert event.type.startswith("task-xxx")
    assert event.data is not None
    assert max(map(len, event.data)) == max(map(len, event.data["inner"][0])) == 256
    assert decoder.shortened == {"type": 1, "data": 2}


def test_fields_of_an_event_have_a_maximum_number_of_values() -> None:
    event = one(**{f"f{number}": number for number in range(20_000)})
    assert event.data is not None
    assert len(event.data) == coerce.MAX_DATA_VALUES + 1
    assert coerce.OMITTED in event.data
    assert one(many=list(range(20_000))).data["many"][-1] == coerce.OMITTED  # type: ignore[index]


def test_yaml_document_that_repeats_a_list_billions_of_times_is_limited() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "type: task-x", f"uuid: {ID}", "args: *a11"])
    decoder, out = Decoder(["yaml"]), list[Event]()
    decoder.decode_message(text.encode(), ContentHeaders("application/x-yaml", "utf-8", None), NOW, out)
    assert [event.uuid for event in out] == [ID]
    assert len(str(out[0])) < 1_000_000


def test_wrong_types_are_converted_or_dropped() -> None:
    event = one(args=[1, "a"], kwargs={"a": None}, retries="3", runtime="0.5", clock=7.0, pid="x", freq=True, name=5,
                terminated="yes", loadavg=[1, "2", None], signum=[9], hostname="w")  # fmt: skip
    assert (event.args, event.kwargs, event.name) == ("[1, 'a']", "{'a': None}", "5")
    assert (event.retries, event.runtime, event.clock) == (3, 0.5, 7)
    assert (event.pid, event.freq, event.terminated, event.signum) == (None, None, None, None)
    assert event.loadavg == (1.0, 2.0)
    assert event.hostname == "w"


def test_further_load_averages_are_removed() -> None:
    """Every page of workers shows them: a heartbeat with millions made each 20 MB."""
    assert one(loadavg=[1, 2, 3] * 1_000).loadavg == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("bad", [None, "soon", True, math.nan, math.inf, -1, 1e300, 10**400, [1], "1e999"])
def test_invalid_timestamp_is_replaced_by_the_local_clock(bad: object) -> None:
    assert one(timestamp=bad).timestamp == NOW
    (event,) = decoded(json.dumps({"type": "task-started", "uuid": ID}).encode())
    assert event.timestamp == NOW


@pytest.mark.parametrize("good", [0, 1.5, 4102444800, "1750000000.5"])
def test_timestamps_from_1970_and_2100_are_kept(good: Any) -> None:
    assert one(timestamp=good).timestamp == float(good)


def test_text_is_made_storable() -> None:
    body = (
        b'{"type":"task-failed","uuid":"a\\u0000b","timestamp":1,'
        b'"exception":"\\ud800 bad \xff","traceback":"tab\there\x01"}'
    )
    (event,) = decoded(body)
    assert event.uuid == "a\0b"
    assert event.exception == "\\ud800 bad \\udcff"
    assert event.traceback == "tab\there\x01"
    event.exception.encode()


def test_numbers_out_of_range() -> None:
    assert one(clock=2**70, retries="9" * 5000).clock is None
    (event,) = decoded(
        b'{"type":"task-x","uuid":"u","timestamp":1,"clock":%s,"big":%s,"nan":NaN,"in":[NaN,1]}'
        % (b"9" * 6000, b"9" * 30)
    )
    assert (event.clock, event.data) == (None, {"big": "9" * 30, "in": [None, 1]})


def test_ten_megabytes_of_arguments() -> None:
    args = "x" * 10_000_000
    assert one(args=args).args == args


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"1", "not an object"),
        (b"null", "not an object"),
        (b'"text"', "not an object"),
        (b"[[]]", "not an object"),
        (b"{}", "no type"),
        (b'{"type":7,"uuid":"a"}', "no type"),
        (b'{"type":"","uuid":"a"}', "no type"),
        (b'{"type":"task-started"}', "no uuid"),
        (b'{"type":"task-started","uuid":""}', "no uuid"),
        (b'{"type":"task-started","uuid":null,"timestamp":1}', "no uuid"),
        (b'{"type":"worker-heartbeat","timestamp":1}', "no hostname"),
    ],
)
def test_malformed_events_are_counted(body: bytes, reason: str) -> None:
    decoder = Decoder()
    assert decoded(body, decoder) == []
    assert decoder.malformed == {reason: 1}


def test_malformed_event_does_not_affect_others() -> None:
    decoder = Decoder()
    good = standard("task-started")
    body = json.dumps([good, 5, {"type": "task-failed"}, {**good, "args": ["x"]}, good, {"type": "custom"}]).encode()
    assert [event.uuid for event in decoded(body, decoder)] == [ID] * 3
    assert decoder.malformed == {"not an object": 1, "no uuid": 1}
    assert decoder.skipped == 1


def test_events_of_other_kinds_are_skipped() -> None:
    decoder = Decoder()
    assert decoded(b'{"type":"shop-sale","timestamp":1,"amount":5}', decoder) == []
    assert (decoder.skipped, decoder.malformed) == (1, {})


def test_malformed_messages_are_logged_briefly_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    decoder = Decoder()
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            decoded(b"\x1b[31mhostile\n" * 100, decoder)
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert len(said) < 300
    assert "\x1b" not in said
    assert "\n" not in said


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from([*Event.__struct_fields__, "extra"])
kinds = st.sampled_from([*STANDARD, "task-x", "other", "task-"])


@settings(max_examples=400, deadline=None)
@given(
    json_values
    | st.lists(
        st.builds(lambda d, k: {**d, "type": k}, st.dictionaries(fields, json_values, max_size=8), kinds), max_size=3
    )
)
def test_any_json_value_is_decoded_into_storable_events(value: object) -> None:
    for event in decoded(json.dumps(value).encode()):
        # encodes (so: no lone surrogate), is finite, and is of the declared types
        again = msgspec.json.decode(msgspec.json.encode(event), type=Event)
        assert again == event
        assert event.uuid or not event.type.startswith("task-")


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            "application/json",
            "application/x-yaml",
            "application/x-msgpack",
            "application/x-python-serialize",
            "x/y",
            None,
        ]
    ),
    st.sampled_from([None, "gzip", "nonsense"]),
)
def test_any_bytes_are_counted_as_malformed_or_decoded_to_valid_events(
    body: bytes, content_type: str | None, compression: str | None
) -> None:
    assume(body.lstrip()[:1] not in (b"[", b"\x90"))  # a list without events is valid
    decoder, events = Decoder(["json", "yaml", "msgpack"]), list[Event]()
    decoder.decode_message(body, ContentHeaders(content_type, "utf-8", compression), NOW, events)
    assert events or decoder.malformed.total() or decoder.skipped
    for event in events:
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


@pytest.mark.parametrize("serializer", ["json", "yaml", "msgpack", "pickle"])
@pytest.mark.parametrize("compression", [None, "gzip", "bzip2"])
def test_serializers_and_compression(serializer: str, compression: str | None) -> None:
    from kombu.compression import compress
    from kombu.serialization import dumps

    content_type, encoding, body = dumps([standard("task-succeeded")], serializer)
    body = body.encode() if isinstance(body, str) else body
    named = None
    if compression:
        body, named = compress(body, compression)
    out: list[Event] = []
    Decoder([serializer]).decode_message(body, ContentHeaders(content_type, encoding, named), NOW, out)
    assert [event.result for event in out] == ["'ok'"]


def test_pickle_is_rejected_unless_accepted(tmp_path: Any) -> None:
    import os
    import pickle

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "pwned"),)

    decoder = Decoder(["json"])
    decoder.decode_message(
        pickle.dumps(Bomb()), ContentHeaders("application/x-python-serialize", "binary", None), NOW, []
    )
    assert decoder.malformed == {"serializer": 1}
    assert not (tmp_path / "pwned").exists()


def test_pickled_python_objects_become_text() -> None:
    import datetime
    import decimal
    import pickle

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    event = {"type": "task-x", "uuid": ID, "timestamp": decimal.Decimal("3.5"), "eta": datetime.date(2026, 1, 2),
             "set": {1}, "deep": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]], b"k": b"\xff"}  # fmt: skip
    out: list[Event] = []
    Decoder(["pickle"]).decode_message(
        pickle.dumps(event), ContentHeaders("application/x-python-serialize", "binary", None), NOW, out
    )
    (found,) = out
    assert (found.timestamp, found.eta) == (3.5, "2026-01-02")
    assert found.data is not None
    assert (found.data["set"], found.data["k"]) == ([1], "\\xff")
    assert coerce.to_text(Odd()) == "<Odd>"


def test_messages_of_the_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of a real dispatcher on the memory transport, single and batched."""
    app = Celery("x", broker="memory://", set_as_current=False)
    seen: list[bytes] = []
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, buffer_group=["task"], buffer_limit=2)
        # encoded at once: before 5.5, Celery clears the list after it is published
        monkeypatch.setattr(dispatcher.producer, "publish", lambda body, **_: seen.append(json.dumps(body).encode()))
        dispatcher.send("worker-online", freq=2)
        dispatcher.send("task-received", uuid=ID, **_RECEIVED)
        dispatcher.send("task-started", uuid=ID)
    events = [event for body in seen for event in decoded(body)]
    assert [event.type for event in events] == ["worker-online", "task-received", "task-started"]


#: bodies that begin and end as an object
OBJECTS = [
    *(json.dumps(standard(kind)).encode() for kind in STANDARD),
    json.dumps({**standard("task-received"), "kwargs": "{'password': 'hunter2'}"}).encode(),
    json.dumps({**standard("task-started"), "data": {"a": 1}}).encode(),
    json.dumps({**standard("task-started"), "field": 1}).encode(),
    b'{"type": "task-started", "uuid": "a", "timestamp": 1.5, "args": "\xff"}',
    b'{"type": "task-started", "uuid": "a", "timestamp": 1.5}, {"type": "task-started", "uuid": "b", "timestamp": 1.5}',
    b'{"type": "task-started", "uuid": "a", "timestamp": 1.5, "args": "}',
    b'{", "kwargs": ""}',
    b'{"type": "task-started"}',
    b'{"type": "other-kind", "timestamp": 1.5}',
    b"{}",
    b"{]}",
]


@given(st.lists(st.sampled_from(OBJECTS), max_size=6))
@example([OBJECTS[-7], OBJECTS[-6], OBJECTS[-5]])
def test_objects_are_decoded_together_as_one_by_one(bodies: list[bytes]) -> None:
    together, single = Decoder(), Decoder()
    events: list[Event] = []
    together.decode_objects(bodies, NOW, events)
    assert events == [event for body in bodies for event in decoded(body, single)]
    assert (together.malformed, together.skipped) == (single.malformed, single.skipped)


def _redis_message(body: bytes, compression: str | None) -> bytes:
    envelope = {
        "body": b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"compression": compression} if compression else {},
        "properties": {"body_encoding": "base64"},
    }
    parts = (b"pmessage", b"/0.celeryev/*", b"/0.celeryev/task.started", json.dumps(envelope).encode())
    return b"*4\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _amqp_message(body: bytes, compression: str | None) -> bytes:
    properties = BasicMessage(
        content_type="application/json", application_headers={"compression": compression} if compression else {}
    )._serialize_properties()
    payloads = (
        (1, struct.pack(">HHB", 60, 60, 1) + b"c" + struct.pack(">QBBB", 7, 0, 0, 0)),
        (2, struct.pack(">HHQ", 60, 0, len(body)) + properties),
        (3, body),
    )
    return b"".join(struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce" for kind, payload in payloads)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_messages_with_one_event_each_keep_their_order(broker: str) -> None:
    """Messages with one event are decoded in groups, all others one by one."""

    def body(number: int) -> bytes:
        return json.dumps({"type": "task-started", "uuid": str(number), "timestamp": 1.5}).encode()

    encode = _redis_message if broker == "redis" else _amqp_message
    stream = b"".join(
        encode(b"[%b]" % body(number), None)
        if number % 40 == 17
        else encode(zlib.compress(body(number)), "zlib")
        if number % 40 == 23
        else encode(body(number), None)
        for number in range(200)
    )
    parser = RedisParser(Decoder()) if broker == "redis" else FrameParser(Decoder(), 1)
    events: list[Event] = []
    for start, end in ((0, 5_000), (5_000, 5_001), (5_001, len(stream))):
        count = len(events)
        parser.feed(stream[start:end], NOW, events)
        assert len(events) > count or end == 5_001
    assert [event.uuid for event in events] == [str(number) for number in range(200)]


def test_events_before_invalid_data_are_decoded() -> None:
    events: list[Event] = []
    body = json.dumps({"type": "task-started", "uuid": "a", "timestamp": 1.5}).encode()
    with pytest.raises(ConnectionLost):
        RedisParser(Decoder()).feed(_redis_message(body, None) + b"?", NOW, events)
    assert [event.uuid for event in events] == ["a"]
