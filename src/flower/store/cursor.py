"""Cursors: where a page ended, as a text that goes into a URL and comes back from anyone.

A cursor is base64url of MessagePack: version, digest of the query, the sort values of the page's last task as they are
compared (text casefolded, None if missing), and its key in the store. It is no secret and grants nothing: whoever
makes one up gets a place in the same list.

The digest says which query a cursor belongs to. It covers the sort keys and the shape of the search with all its
values but the bounds of ranges: `received:>-1h` has another bound each time it is read, and the place after a task
is the same place whatever the bounds are. So a cursor of `runtime:>1` also goes with `runtime:>2`.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b
from math import isnan
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from flower.errors import InvalidRequest
from flower.search.tree import And, Node, Not, Or, PathCondition, Term
from flower.store.protocols import Query

_VERSION: Final = 1
_HINT: Final = "leave it out to get the first page"
#: What orders by text; the other sort keys are numbers.
TEXT_SORT_KEYS: Final = frozenset({"name", "state", "worker", "queue", "uuid"})
#: How a value travels: text as bytes, for it may hold what UTF-8 cannot (lone surrogates).
_PackedValue = bytes | int | float | None


class Position(NamedTuple):
    """The place after one task: its sort values, in the order of the query's sort keys, and its key."""

    values: tuple[Any, ...]
    key: int


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    digest: bytes
    values: Annotated[tuple[_PackedValue, ...], Meta(max_length=64)]
    key: Annotated[int, Meta(ge=0, le=2**63 - 1)]


_to_bytes = msgspec.msgpack.Encoder().encode
_from_bytes = msgspec.msgpack.Decoder(_Cursor).decode


def encode_cursor(query: Query, values: tuple[Any, ...], key: int) -> str:
    """`values`: str, number or None, one for each sort key of the query."""
    packed = tuple(v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values)
    return urlsafe_b64encode(_to_bytes(_Cursor(_VERSION, _digest(query), packed, key))).rstrip(b"=").decode()


def decode_cursor(query: Query, text: str) -> Position:
    """Raises Invalid for whatever `encode` did not make for this query."""
    try:
        encoded = text.encode("ascii")
        cursor = _from_bytes(b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True))
        values = tuple(v.decode("utf-8", "surrogatepass") if isinstance(v, bytes) else v for v in cursor.values)
    except (UnicodeError, binascii.Error, msgspec.DecodeError):
        raise InvalidRequest("This is not a cursor", hint=_HINT) from None
    if cursor.version != _VERSION:
        raise InvalidRequest("This cursor is of another version of the program", hint=_HINT)
    if cursor.digest != _digest(query) or len(values) != len(query.sort):
        raise InvalidRequest("This cursor belongs to another query", hint=_HINT)
    if not all(_is_valid_value(sort.key, value) for sort, value in zip(query.sort, values, strict=True)):
        raise InvalidRequest("This is not a cursor", hint=_HINT)
    return Position(values, cursor.key)


def _is_valid_value(key: str, value: Any) -> bool:
    if value is None:
        return True
    # NaN has no place in any order
    return isinstance(value, str) if key in TEXT_SORT_KEYS else isinstance(value, int | float) and not isnan(value)


def _digest(query: Query) -> bytes:
    sort = tuple((sort.key, sort.descending) for sort in query.sort)
    return blake2b(repr((sort, _query_shape(query.where))).encode(), digest_size=8).digest()


def _query_shape(node: Node) -> Any:
    match node:
        case Term(field, operator, PathCondition(keys, compared, value)):
            return field, operator, keys, compared, _strip_bounds(value)
        case Term(field, operator, value):
            return field, operator, value if operator == "pair" else _strip_bounds(value)
        case Not(term):
            return "not", _query_shape(term)
        case And(terms):
            return "and", [_query_shape(term) for term in terms]
        case Or(terms):
            return "or", [_query_shape(term) for term in terms]


def _strip_bounds(value: Any) -> Any:
    return tuple(bound is not None for bound in value) if isinstance(value, tuple) else value
