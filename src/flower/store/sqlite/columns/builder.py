"""Rows of a segment → values of its columns. The rows are as the codec makes them, or as NARROW reads them."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from flower.fingerprint import compute_fingerprint, exception_class_id, fingerprint_to_int
from flower.quantile_sketch import SKETCH_BOUNDS
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.columns.layout import (
    END_TIME_COLUMNS,
    HAS_BITS,
    INTEGER_COLUMNS,
    NO_BUCKET,
    REAL_COLUMNS,
    SORTED_KEYS,
    WORD_COLUMNS,
    Array,
    hash_id,
)
from flower.store.sqlite.connection import Row
from flower.store.sqlite.schema import STATE_IDS
from flower.store.sqlite.schema import TASK_COLUMNS as ROW

_BUCKET_BOUNDS: Final = np.array(SKETCH_BOUNDS)
_PRESENCE_BITS: Final = tuple(
    (name, HAS_BITS[name]) for name in HAS_BITS if name not in ("escaped", "exception", "traceback")
)  # the two are looked at together with the fingerprint
_ESCAPABLE: Final = ("args", "kwargs", "result")

#: How much a column reader needs of the long texts: whether they are there and have a backslash.
_TEXT_SUMMARY: Final = "CASE WHEN {0} IS NULL THEN NULL WHEN instr({0}, '\\') THEN '\\' ELSE '' END"
_SELECT_EXPRESSIONS: Final = {name: _TEXT_SUMMARY.format(name) for name in _ESCAPABLE}
#: SELECT … FROM task, of what `values_of` takes.
NARROW_SELECT: Final = f"SELECT {', '.join(_SELECT_EXPRESSIONS.get(name, name) for name in ROW)} FROM task"

Values = dict[str, Array]


def build_values(rows: Sequence[Row]) -> Values:
    """The values of all columns but those of the text index, for these rows in their order."""
    by = dict(zip(ROW, zip(*rows, strict=True), strict=True))
    count = len(rows)
    values: Values = {name: np.array([word or 0 for word in by[name]], np.uint32) for name in WORD_COLUMNS}
    for name in ("received", "started", "timestamp", "sent", "runtime"):
        values[name] = np.array(by[name], np.float64)
    since = np.where(np.isnan(values["sent"]), values["received"], values["sent"])
    values["wait"] = values["started"] - since
    values["ended"] = _build_ended(by, values["state"])
    for name, kind in INTEGER_COLUMNS.items():
        if name != "attempts":
            values[name] = _build_integers(by[name], kind)
    values["attempts"] = _count_attempts(by["earlier"])
    for name in ("runtime", "wait"):
        values[f"{name}_bucket"] = _find_buckets(values[name])
    values["uuid_high"], values["uuid_low"] = _split_uuids(by["uuid"])
    values["root"] = _hash_ids(by["root_id"], by["uuid"])
    values["parent"] = _hash_ids(by["parent_id"])
    values["has"] = _build_has_bits(by, count)
    _mark_failures(by, values)
    return values


def _build_ended(by: dict[str, tuple[Any, ...]], state: Any) -> Array:
    ended = np.full(len(state), np.nan)
    for name, column in END_TIME_COLUMNS.items():
        here = np.flatnonzero(state == STATE_IDS[name])
        if len(here):
            times = by[column]
            ended[here] = np.array([times[place] for place in here], np.float64)
    return ended


def _build_integers(numbers: Sequence[int | None], kind: Any) -> Array:
    bounds = np.iinfo(kind)
    least, most = int(bounds.min), int(bounds.max)
    missing = numbers.count(None)
    if missing == len(numbers):
        return np.full(len(numbers), least, kind)
    if missing == 0:
        return np.clip(np.array(numbers, np.int64), least + 1, most).astype(kind)
    filled = np.clip(np.array([most if number is None else number for number in numbers], np.int64), least + 1, most)
    filled[[place for place, number in enumerate(numbers) if number is None]] = least
    return filled.astype(kind)


def _count_attempts(earlier: Sequence[str | None]) -> Array:
    # each attempt is an object with its number in it, and text within JSON strings has its quotes escaped
    attempts = np.ones(len(earlier), np.int64)
    if earlier.count(None) < len(earlier):
        for place, text in enumerate(earlier):
            if text is not None:
                attempts[place] += text.count('"number":')
    return np.minimum(attempts, np.iinfo(INTEGER_COLUMNS["attempts"]).max).astype(INTEGER_COLUMNS["attempts"])


def _find_buckets(seconds: Any) -> Any:
    found = np.searchsorted(_BUCKET_BOUNDS, seconds, side="right").astype(np.uint16)
    found[np.isnan(seconds)] = NO_BUCKET
    return found


def _split_uuids(ids: Sequence[bytes | str]) -> tuple[Array, Array]:
    packed = b"".join(value if type(value) is bytes else bytes(16) for value in ids)
    halves = np.frombuffer(packed, ">u8").astype(np.uint64).reshape(-1, 2)
    return halves[:, 0], halves[:, 1]


def _hash_ids(ids: Sequence[bytes | str | None], own: Sequence[bytes | str] = ()) -> Any:
    hashes = np.zeros(len(ids), np.uint32)
    for place, (value, mine) in enumerate(zip_longest(ids, own)):
        if value is not None and value != mine:
            hashes[place] = hash_id(value)
    return hashes


def _build_has_bits(by: dict[str, tuple[Any, ...]], count: int) -> Any:
    has = np.zeros(count, np.uint32)
    for name, bit in _PRESENCE_BITS:
        # no data is written as none at all or as an empty object
        column = by[name] if name != "data" else tuple(None if text == "{}" else text for text in by[name])
        missing = column.count(None)
        if missing == count:
            continue
        if missing == 0:
            has |= np.uint32(bit)
        else:
            has[[value is not None for value in column]] |= np.uint32(bit)
    for name in _ESCAPABLE:
        escaped = [place for place, text in enumerate(by[name]) if text is not None and "\\" in text]
        has[escaped] |= np.uint32(HAS_BITS["escaped"])
    return has


def _mark_failures(by: dict[str, tuple[Any, ...]], values: Values) -> None:
    count = len(values["state"])
    exception, failure = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    for place, (error, trace) in enumerate(zip(by["exception"], by["traceback"], strict=True)):
        if error is None and trace is None:
            continue
        bits = (HAS_BITS["exception"] if error is not None else 0) | (HAS_BITS["traceback"] if trace is not None else 0)
        values["has"][place] |= np.uint32(bits)
        fingerprint = compute_fingerprint(error, trace)
        if fingerprint is not None:
            exception[place] = exception_class_id(fingerprint.exception)
            failure[place] = fingerprint_to_int(fingerprint)
    values["exception"], values["failure"] = exception, failure


def write_rows(columns: Columns, ids: Sequence[int], values: Values) -> None:
    """Set the values of these rows. Within `Columns.change`."""
    slots = find_row_slots(columns, ids)
    for name, column in values.items():
        columns[name][slots] = column
    columns["version"][slots] += 1
    columns["live"][slots] = 1


def clear_rows(columns: Columns, ids: Sequence[int]) -> None:
    """Within `Columns.change`."""
    slots = find_row_slots(columns, ids)
    columns["live"][slots] = 0
    # in a kept order they come last, as what has no value does
    for name in REAL_COLUMNS:
        columns[name][slots] = np.nan
    for name in ("uuid_high", "uuid_low"):
        columns[name][slots] = np.iinfo(np.uint64).max
    for name in ("root", "parent"):
        columns[name][slots] = 0


def find_row_slots(columns: Columns, ids: Sequence[int]) -> Any:
    """A slice where they follow each other, as new ones do."""
    if ids and ids[-1] - ids[0] + 1 == len(ids) and all(map(int.__eq__, ids, range(ids[0], ids[0] + len(ids)))):
        return slice(ids[0] - columns.first, ids[-1] - columns.first + 1)
    return np.fromiter(ids, np.int64, len(ids)) - columns.first


def write_chunks(columns: Columns, chunks: Iterable[Sequence[Row]]) -> None:
    """Fill empty columns. Within `Columns.change`."""
    for rows in chunks:
        write_rows(columns, [row[0] for row in rows], build_values(rows))


def write_orders(columns: Columns, count: int) -> None:
    """Sort the first `count` slots by every key that is kept in order; not those without a row. Within `change`."""
    live = columns["live"][:count]
    for key in SORTED_KEYS:
        if key == "uuid":
            order = np.lexsort((columns["uuid_low"][:count], columns["uuid_high"][:count], live == 0))
        elif key in REAL_COLUMNS:
            values = np.where(live == 1, columns[key][:count], np.nan)
            order = np.argsort(values, kind="stable")
        else:
            order = np.argsort(columns[key][:count], kind="stable")
        columns.orders[key][:count] = order
