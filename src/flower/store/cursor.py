"""Page cursors: the position after the last task of a page, as text in a URL.

A cursor is base64url of MessagePack: version, digest of the query, the sort values of the last task as they are
compared (text casefolded, None if missing), and its key in the store. It is not secret and grants no access: a forged
cursor only selects another position in the same list.

The digest identifies the query. It covers the sort keys and the structure of the search with all values except the
bounds of ranges: `received:>-1h` has another bound at each request, and the position after a task does not depend on
the bounds. Therefore a cursor of `runtime:>1` is also valid for `runtime:>2`.
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
_HINT: Final = "omit the cursor to get the first page"
#: Sort keys that are compared as text; the others are numbers.
TEXT_SORT_KEYS: Final = frozenset({"name", "state", "worker", "queue", "uuid"})
#: Encoded sort value: text is bytes, because it may contain lone surrogates.
_PackedValue = bytes | int | float | None


class Position(NamedTuple):
    """The position after one task: its sort values in the order of the query's sort keys, and its key."""

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
    """Raises InvalidRequest for text that `encode_cursor` did not return for this query."""
    try:
        encoded = text.encode("ascii")
        cursor = _from_bytes(b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True))
        values = tuple(v.decode("utf-8", "surrogatepass") if isinstance(v, bytes) else v for v in cursor.values)
    except (UnicodeError, binascii.Error, msgspec.DecodeError):
        raise InvalidRequest("Invalid cursor", hint=_HINT) from None
    if cursor.version != _VERSION:
        raise InvalidRequest("Invalid cursor: created by another version", hint=_HINT)
    if cursor.digest != _digest(query) or len(values) != len(query.sort):
        raise InvalidRequest("Invalid cursor: it belongs to another query", hint=_HINT)
    if not all(_is_valid_value(sort.key, value) for sort, value in zip(query.sort, values, strict=True)):
        raise InvalidRequest("Invalid cursor", hint=_HINT)
    return Position(values, cursor.key)


def _is_valid_value(key: str, value: Any) -> bool:
    if value is None:
        return True
    # NaN is not ordered
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
