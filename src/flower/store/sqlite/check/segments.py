"""Check of one segment: every row can be decoded, and its description, dictionary and Bloom filter agree with the
rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from flower.store.sqlite.bloom_filter import BloomFilter, bloom_bits, bloom_hashes
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, SegmentInfo
from flower.store.sqlite.check.findings import RESTORE_ADVICE, FindingList
from flower.store.sqlite.connection import Row, fetch_rows
from flower.store.sqlite.migration import provide_present_format
from flower.store.sqlite.row_codec import DamagedRow, WordDictionary, decode_row
from flower.store.sqlite.schema import SELECT_TASKS, STATE_IDS, TASK_COLUMNS

#: Rows in memory at once.
CHUNK_ROWS: Final = 2_000
_UUID_AT: Final = TASK_COLUMNS.index("uuid")
_BOUNDED_COLUMNS: Final = tuple((key, TASK_COLUMNS.index(key)) for key in BOUNDED_KEYS if key in TASK_COLUMNS)
_DECODE_ERRORS: Final = (DamagedRow, KeyError, ValueError, TypeError)
_START_ADVICE: Final = "start the recorder: it builds the description again"


def check_segment(connection: apsw.Connection, name: str, info: SegmentInfo, findings: FindingList) -> int:
    """Check the segment in the transaction of the connection. Return the number of rows."""
    provide_present_format(connection)
    words = fetch_rows(connection, "SELECT id, kind, value FROM word")
    dictionary = WordDictionary(words)
    states = {value: number for number, kind, value in words if kind == "state"}
    if any(states.get(state) != number for state, number in STATE_IDS.items()):
        findings.add(name, "the numbers of the states differ from the format", RESTORE_ADVICE)
    bloom = _read_bloom(connection, info, name, findings)
    count = 0
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    for rows in iter_rows(connection, SELECT_TASKS):
        count += len(rows)
        _check_rows(rows, name, info, dictionary, findings)
        _extend(lowest, highest, rows)
        if bloom is not None:
            hashes = bloom_hashes([row[_UUID_AT] for row in rows]).tolist()
            absent = sum(not bloom.might_contain(value) for value in hashes)
            if absent:
                findings.add(name, f"the Bloom filter excludes {absent:,} of the ids", "restore it from a backup")
    if count != info.rows:
        findings.add(name, f"it contains {count:,} tasks, and its description states {info.rows:,}", RESTORE_ADVICE)
    for key, value in [*lowest.items(), *highest.items()]:
        bound = info.bound(key)
        if bound is None or not bound[0] <= min(max(value, -MAX_BOUND), MAX_BOUND) <= bound[1]:
            findings.add(name, f"{key} {value} is outside the bounds of its description {bound}", RESTORE_ADVICE)
    return count


def iter_rows(connection: apsw.Connection, select: str) -> Iterator[list[Row]]:
    """The rows in the order of their keys."""
    last = -(2**63)
    while rows := fetch_rows(connection, f"{select} WHERE id > ? ORDER BY id LIMIT {CHUNK_ROWS}", (last,)):
        yield rows
        last = rows[-1][0]


def _check_rows(
    rows: Sequence[Row], name: str, info: SegmentInfo, dictionary: WordDictionary, findings: FindingList
) -> None:
    for row in rows:
        if not info.first <= row[0] < info.next:
            findings.add(name, f"row {row[0]} is outside its keys {info.first} to {info.next - 1}", RESTORE_ADVICE)
        try:
            decode_row(row, dictionary.values)
        except _DECODE_ERRORS as error:
            detail = f"word {error} is missing" if isinstance(error, KeyError) else error
            findings.add(name, f"row {row[0]} cannot be decoded: {detail}", RESTORE_ADVICE)


def _extend(lowest: dict[str, float], highest: dict[str, float], rows: Sequence[Row]) -> None:
    for key, index in _BOUNDED_COLUMNS:
        values: list[Any] = [row[index] for row in rows if isinstance(row[index], float | int)]
        if values:
            lowest[key] = min(lowest.get(key, MAX_BOUND), *values, MAX_BOUND)
            highest[key] = max(highest.get(key, -MAX_BOUND), *values, -MAX_BOUND)


def _read_bloom(connection: apsw.Connection, info: SegmentInfo, name: str, findings: FindingList) -> BloomFilter | None:
    rows = fetch_rows(connection, "SELECT value FROM info WHERE key='bloom'")
    if not rows:
        return None
    content = rows[0][0]
    if not isinstance(content, bytes) or len(content) * 8 != bloom_bits(info.capacity):
        findings.add(name, "the Bloom filter has the wrong size", _START_ADVICE, severity="note")
        return None
    return BloomFilter.from_bytes(content)
