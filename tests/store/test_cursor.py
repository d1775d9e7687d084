"""Tests of cursors, which clients can change: a valid one returns its position, any other one an error."""

import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.errors import InvalidRequest
from flower.search.tree import EVERYTHING, And, Not, Or, PathCondition, Term
from flower.store.cursor import TEXT_SORT_KEYS, Position, decode_cursor, encode_cursor
from flower.store.protocols import NEWEST, SORT_KEYS, Query, Sort
from tests.helpers.task_factory import queries

BY_NAME = Query(Term("state", "is", "FAILURE"), (Sort("name"), Sort("runtime", descending=True)))
VALUES = ("shop.order", 1.5)


def forged(*parts: Any) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(parts)).rstrip(b"=").decode()


@st.composite
def places(draw: st.DrawFn) -> tuple[Query, Position]:
    query = draw(queries)
    texts = st.text(alphabet=st.characters(exclude_categories=[]), max_size=20)
    numbers = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
    values = tuple(draw(st.none() | (texts if sort.key in TEXT_SORT_KEYS else numbers)) for sort in query.sort)
    return query, Position(values, draw(st.integers(0, 2**63 - 1)))


@given(places())
def test_round_trip(place: tuple[Query, Position]) -> None:
    query, position = place
    text = encode_cursor(query, *position)
    assert decode_cursor(query, text) == position
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "other",
    [
        Query(),
        Query(BY_NAME.where),
        Query(BY_NAME.where, (Sort("name"), Sort("runtime"))),
        Query(BY_NAME.where, (Sort("runtime", descending=True), Sort("name"))),
        Query(EVERYTHING, BY_NAME.sort),
        Query(Not(BY_NAME.where), BY_NAME.sort),
        Query(Term("state", "is", "SUCCESS"), BY_NAME.sort),
        Query(Term("state", "equals", "FAILURE"), BY_NAME.sort),
        Query(And((BY_NAME.where,)), BY_NAME.sort),
        Query(Or((BY_NAME.where,)), BY_NAME.sort),
    ],
)
def test_cursor_of_another_query_is_rejected(other: Query) -> None:
    with pytest.raises(InvalidRequest, match="belongs to another query"):
        decode_cursor(other, encode_cursor(BY_NAME, VALUES, 7))


def test_bounds_of_ranges_may_change() -> None:
    """`received:>-1h` has another bound for each page."""

    def since(moment: float) -> Query:
        path = Term("kwargs", "path", PathCondition(("order", "price"), "range", (moment, None)))
        return Query(And((Term("received", "range", (moment, None)), path)))

    assert decode_cursor(since(2000.0), encode_cursor(since(1000.0), (1500.0,), 7)) == ((1500.0,), 7)
    no_bound = Query(And((Term("received", "range", (None, None)), since(1.0).where.terms[1])))  # type: ignore[union-attr]
    with pytest.raises(InvalidRequest, match="another query"):
        decode_cursor(no_bound, encode_cursor(since(1000.0), (1500.0,), 7))


def test_values_of_pairs_and_paths_are_significant() -> None:
    def query(operator: Any, value: Any) -> Query:
        return Query(Term("kwargs", operator, value))

    for one, other in (
        (query("pair", ("id", "7")), query("pair", ("id", "8"))),
        (query("path", PathCondition(("id",), "is", "7")), query("path", PathCondition(("id",), "is", "8"))),
        (query("path", PathCondition(("id",), "is", "7")), query("path", PathCondition(("no",), "is", "7"))),
    ):
        with pytest.raises(InvalidRequest, match="another query"):
            decode_cursor(other, encode_cursor(one, (1.0,), 7))


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "a", "AAAA", "é", "\ud800", "\0", "null", "../../etc/passwd", "A" * 100_001, "%%%", "gaE", "-" * 64,
        encode_cursor(Query(), (1.0,), 7) + "!",
        forged(1), forged(1, b"x", [], 7, 8), forged("1", b"x", [], 7), forged(1, "x", [], 7), forged(1, b"x", {}, 7),
        forged(1, b"x", [], -1), forged(1, b"x", [], 2**63), forged(1, b"x", [], 1.5), forged(1, b"x", [[]], 1),
        forged(1, b"x", [True], 1), forged(1, b"x", [0] * 100_000, 1), forged(1, b"x", [b"\xff\xfe"], 1),
        urlsafe_b64encode(b"\x91" * 50_000).decode(), urlsafe_b64encode(b"\x94\x01\xc6\xff\xff\xff\xff").decode(),
    ],
)  # fmt: skip
def test_invalid_cursor_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Invalid cursor") as caught:
        decode_cursor(Query(), text)
    assert "first page" in caught.value.hint


def digest(query: Query) -> bytes:
    packed = encode_cursor(query, tuple(None for _ in query.sort), 1)
    found: list[Any] = msgspec.msgpack.decode(_bytes(packed))
    assert isinstance(found[1], bytes)
    return found[1]


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [b"text"], [math.nan]])
def test_values_of_other_types_are_rejected(values: list[Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"Invalid cursor"):
        decode_cursor(Query(), forged(1, digest(Query()), values, 7))


def test_number_for_a_text_key_is_rejected() -> None:
    query = Query(sort=(Sort("uuid"),))
    with pytest.raises(InvalidRequest, match="Invalid cursor"):
        decode_cursor(query, forged(1, digest(query), [5], 7))


def test_other_version_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="another version"):
        decode_cursor(Query(), forged(2, digest(Query()), [1.0], 7))


@given(
    st.text(alphabet=st.characters(exclude_categories=[])) | st.binary().map(lambda b: urlsafe_b64encode(b).decode())
)
def test_random_text_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(Query(), text)


@given(st.integers(0, 200), st.integers(0, 255))
def test_tampered_cursor_is_rejected_or_a_position(where: int, byte: int) -> None:
    packed = bytearray(_bytes(encode_cursor(BY_NAME, VALUES, 7)))
    packed[where % len(packed)] = byte
    try:
        place = decode_cursor(BY_NAME, urlsafe_b64encode(bytes(packed)).decode())
    except InvalidRequest:
        return
    assert all(isinstance(value, str | int | float | None) for value in place.values)
    assert len(place.values) == 2
    assert place.key >= 0


def test_every_sort_key_is_text_or_number() -> None:
    assert set(SORT_KEYS) >= TEXT_SORT_KEYS
    assert NEWEST[0].key not in TEXT_SORT_KEYS
