"""Builds the column values of rows. The rows are as the codec encodes them, or as NARROW_SELECT reads them."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from flower.fingerprint import compute_failure_ids
from flower.quantile_sketch import SKETCH_BOUNDS
from flower.records import END_TIME_FIELDS, RETRY
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.columns.layout import (
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
from flower.store.sqlite.schema import STATE_IDS, TASK_COLUMNS

_BUCKET_BOUNDS: Final = np.array(SKETCH_BOUNDS)
# exception and traceback are read together with the fingerprint
_PRESENCE_BITS: Final = tuple(
    (name, bit) for name, bit in HAS_BITS.items() if name not in ("escaped", "exception", "traceback")
)
#: How an earlier attempt that ended with a retry is encoded, also by the lenient encoder of `row_codec`.
_RETRY_OUTCOME: Final = re.compile('"state": ?"RETRY"')
_ESCAPABLE: Final = ("args", "kwargs", "result")

#: What the columns need of the long texts: whether they are present and contain a backslash.
_TEXT_SUMMARY: Final = "CASE WHEN {0} IS NULL THEN NULL WHEN instr({0}, '\\') THEN '\\' ELSE '' END"
_SELECT_EXPRESSIONS: Final = {name: _TEXT_SUMMARY.format(name) for name in _ESCAPABLE}
#: SELECT … FROM task, with the columns that `build_values` takes
NARROW_SELECT: Final = f"SELECT {', '.join(_SELECT_EXPRESSIONS.get(name, name) for name in TASK_COLUMNS)} FROM task"

Values = dict[str, Array]


def build_values(columns: Sequence[Sequence[Any]]) -> Values:
    """Return the values of all columns except those of the text index. `columns`: the values of each of
    TASK_COLUMNS."""
    row_columns = dict(zip(TASK_COLUMNS, columns, strict=True))
    count = len(columns[0])
    values: Values = {name: np.array([word or 0 for word in row_columns[name]], np.uint32) for name in WORD_COLUMNS}
    for name in ("received", "started", "timestamp", "sent", "runtime"):
        values[name] = np.array(row_columns[name], np.float64)
    no_received, no_sent = np.isnan(values["received"]), np.isnan(values["sent"])
    values["wait"] = values["started"] - np.where(no_sent, values["received"], values["sent"])
    if row_columns["queue_wait"].count(None) < count:
        queue_wait = np.array(row_columns["queue_wait"], np.float64)
        values["wait"] = np.where(np.isnan(queue_wait), values["wait"], queue_wait)
    values["time"] = _build_time(row_columns, values, no_received, no_sent)
    values["ended"] = _build_ended(row_columns, values["state"])
    for name, kind in INTEGER_COLUMNS.items():
        if name not in ("attempts", "retry_count"):
            values[name] = _build_integers(row_columns[name], kind)
    values["attempts"] = _count_attempts(row_columns["earlier"])
    values["retry_count"] = _count_retries(row_columns["earlier"], values["state"])
    for name in ("runtime", "wait"):
        values[f"{name}_bucket"] = _find_buckets(values[name])
    values["uuid_high"], values["uuid_low"] = _split_uuids(row_columns["uuid"])
    values["root"] = _hash_ids(row_columns["root_id"], row_columns["uuid"])
    values["parent"] = _hash_ids(row_columns["parent_id"])
    values["has"] = _build_has_bits(row_columns, count)
    _mark_failures(row_columns, values)
    return values


def find_value_range(values: Any) -> list[float]:
    """Return the lowest and the highest of these reals; [] without any."""
    lowest = float(np.fmin.reduce(values, initial=np.nan))
    return [] if math.isnan(lowest) else [lowest, float(np.fmax.reduce(values, initial=np.nan))]


def _build_time(row_columns: dict[str, Sequence[Any]], values: Values, no_received: Any, no_sent: Any) -> Any:
    received, sent, started = values["received"], values["sent"], values["started"]
    if any(offset is not None for offset in row_columns["clock_offset"]):
        clock_offset = _real_or_zero(row_columns["clock_offset"])
        received, started = received - clock_offset, started - clock_offset
    if not no_received.any():
        return received
    if any(offset is not None for offset in row_columns["client_offset"]):
        sent = sent - _real_or_zero(row_columns["client_offset"])
    first_event = np.where(np.isnan(started), values["timestamp"], started)
    return np.where(no_received, np.where(no_sent, first_event, sent), received)


def _real_or_zero(numbers: Sequence[float | None]) -> Any:
    return np.array([number or 0.0 for number in numbers], np.float64)


def _build_ended(row_columns: dict[str, Sequence[Any]], state: Any) -> Array:
    ended = np.full(len(state), np.nan)
    for name, column in END_TIME_FIELDS.items():
        slots = np.flatnonzero(state == STATE_IDS[name])
        if len(slots):
            times = row_columns[column]
            ended[slots] = np.array([times[slot] for slot in slots.tolist()], np.float64)
    return ended


def _build_integers(numbers: Sequence[int | None], kind: Any) -> Array:
    bounds = np.iinfo(kind)
    lowest, highest = int(bounds.min), int(bounds.max)
    missing = numbers.count(None)
    if missing == len(numbers):
        return np.full(len(numbers), lowest, kind)
    if missing == 0:
        return np.clip(np.array(numbers, np.int64), lowest + 1, highest).astype(kind)
    filled = np.array([highest if number is None else number for number in numbers], np.int64)
    filled = np.clip(filled, lowest + 1, highest)
    filled[[index for index, number in enumerate(numbers) if number is None]] = lowest
    return filled.astype(kind)


def _count_attempts(earlier: Sequence[str | None]) -> Array:
    # each attempt is an object with its number; a quote within a JSON string is escaped, so it is not counted
    attempts = np.ones(len(earlier), np.int64)
    if earlier.count(None) < len(earlier):
        for index, text in enumerate(earlier):
            if text is not None:
                attempts[index] += text.count('"number":')
    kind = INTEGER_COLUMNS["attempts"]
    return np.minimum(attempts, np.iinfo(kind).max).astype(kind)


def _count_retries(earlier: Sequence[str | None], state: Any) -> Any:
    retries = (state == STATE_IDS[RETRY]).astype(np.int64)
    if earlier.count(None) < len(earlier):
        for index, text in enumerate(earlier):
            if text is not None:
                retries[index] += len(_RETRY_OUTCOME.findall(text))
    kind = INTEGER_COLUMNS["retry_count"]
    return np.minimum(retries, np.iinfo(kind).max).astype(kind)


def _find_buckets(seconds: Any) -> Any:
    buckets = np.searchsorted(_BUCKET_BOUNDS, seconds, side="right").astype(np.uint16)
    buckets[np.isnan(seconds)] = NO_BUCKET
    return buckets


def _split_uuids(ids: Sequence[bytes | str]) -> tuple[Array, Array]:
    packed = b"".join(value if type(value) is bytes else bytes(16) for value in ids)
    halves = np.frombuffer(packed, ">u8").astype(np.uint64).reshape(-1, 2)
    return halves[:, 0], halves[:, 1]


def _hash_ids(ids: Sequence[bytes | str | None], own_ids: Sequence[bytes | str] = ()) -> Any:
    """Return the hash of each id; 0 for none and for the task's own id."""
    hashes = np.zeros(len(ids), np.uint32)
    for index, (value, own_id) in enumerate(zip_longest(ids, own_ids)):
        if value is not None and value != own_id:
            hashes[index] = hash_id(value)
    return hashes


def _build_has_bits(row_columns: dict[str, Sequence[Any]], count: int) -> Any:
    has = np.zeros(count, np.uint32)
    for name, bit in _PRESENCE_BITS:
        # missing data is stored as NULL or as an empty object
        column = row_columns[name]
        if name == "data":
            column = tuple(None if text == "{}" else text for text in column)
        missing_count = column.count(None)
        if missing_count == count:
            continue
        if missing_count == 0:
            has |= np.uint32(bit)
        elif missing_count > count // 2:
            has[[index for index, value in enumerate(column) if value is not None]] |= np.uint32(bit)
        else:
            has[np.frombuffer(bytes([value is not None for value in column]), np.bool_)] |= np.uint32(bit)
    for name in _ESCAPABLE:
        texts = row_columns[name]
        # most texts have no backslash, and one search of all of them is faster than one of each
        if "\\" in "".join(filter(None, texts)):
            escaped = [index for index, text in enumerate(texts) if text is not None and "\\" in text]
            has[escaped] |= np.uint32(HAS_BITS["escaped"])
    return has


def _mark_failures(row_columns: dict[str, Sequence[Any]], values: Values) -> None:
    count = len(values["state"])
    exception, failure = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    for index, (error, traceback) in enumerate(zip(row_columns["exception"], row_columns["traceback"], strict=True)):
        if error is None and traceback is None:
            continue
        if error is not None:
            values["has"][index] |= np.uint32(HAS_BITS["exception"])
        if traceback is not None:
            values["has"][index] |= np.uint32(HAS_BITS["traceback"])
        ids = compute_failure_ids(error, traceback)
        if ids is not None:
            exception[index], failure[index] = ids
    values["exception"], values["failure"] = exception, failure


def write_rows(columns: Columns, ids: Sequence[int], values: Values) -> None:
    """Write the values of these rows. Called within `Columns.change`."""
    slots = find_row_slots(columns, ids)
    for name, column in values.items():
        columns[name][slots] = column
    columns["version"][slots] += 1
    columns["live"][slots] = 1


def clear_rows(columns: Columns, ids: Sequence[int]) -> None:
    """Mark these rows as deleted. Called within `Columns.change`."""
    slots = find_row_slots(columns, ids)
    columns["live"][slots] = 0
    # in a stored order they come last, like rows without a value
    for name in REAL_COLUMNS:
        columns[name][slots] = np.nan
    for name in ("uuid_high", "uuid_low"):
        columns[name][slots] = np.iinfo(np.uint64).max
    for name in ("root", "parent"):
        columns[name][slots] = 0


def find_row_slots(columns: Columns, ids: Sequence[int]) -> Any:
    """Return the slots of these ids: a slice if they are consecutive, as new ids are."""
    if isinstance(ids, range):
        return slice(ids.start - columns.first, ids.stop - columns.first)
    if ids and ids[-1] - ids[0] + 1 == len(ids) and all(map(int.__eq__, ids, range(ids[0], ids[0] + len(ids)))):
        return slice(ids[0] - columns.first, ids[-1] - columns.first + 1)
    return np.fromiter(ids, np.int64, len(ids)) - columns.first


def write_chunks(columns: Columns, chunks: Iterable[Sequence[Row]]) -> None:
    """Fill empty columns. Called within `Columns.change`."""
    for rows in chunks:
        row_columns = tuple(zip(*rows, strict=True))
        write_rows(columns, row_columns[0], build_values(row_columns))


def write_orders(columns: Columns, count: int) -> None:
    """Sort the first `count` slots by every key with a stored order; slots without a row come last.

    Called within `Columns.change`.
    """
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
