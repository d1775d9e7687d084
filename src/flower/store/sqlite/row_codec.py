"""Rows of a segment: ids, dictionary, and decoding into tasks. `row_encoder` encodes them.

On the path of every read: plain tuples, no dispatch per field."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from flower.records import PENDING, Attempt, Lost, Task
from flower.store.sqlite.schema import (
    LAST_STATE_ID,
    TASK_COLUMNS,
    TASK_FIELDS,
    TASK_ID_COLUMNS,
    TASK_JSON_COLUMNS,
    TASK_REAL_COLUMNS,
    TASK_TEXT_COLUMNS,
    WORD_KINDS,
)
from flower.surrogates import escape_surrogates

_astuple = msgspec.structs.astuple
_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_data = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode
_lost = msgspec.json.Decoder(Lost).decode
_event_times = msgspec.json.Decoder(dict[str, tuple[float, ...]]).decode

#: Positions of the hyphens in a canonical UUID.
_HYPHENS: Final = (8, 13, 18, 23)


def pack_id(text: str) -> bytes | str:
    """A canonical UUID as its 16 bytes; any other id as text."""
    if len(text) == 36:
        digits = text.replace("-", "")
        if len(digits) == 32 and text[8] == text[13] == text[18] == text[23] == "-":
            try:
                packed = bytes.fromhex(digits)
            except ValueError:
                return escape_surrogates(text)
            if packed.hex() == digits:  # fromhex also accepts upper case and spaces
                return packed
    return escape_surrogates(text)


def unpack_id(value: bytes | str) -> str:
    if isinstance(value, bytes):
        digits = value.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return value


def pack_ids(texts: Sequence[str]) -> list[bytes | str]:
    """Each id as `pack_id` returns it."""
    joined = "".join(texts)
    if len(joined) == 36 * len(texts) and set(map(len, texts)) == {36} and joined.isascii():
        characters = np.frombuffer(joined.encode(), np.uint8).reshape(-1, 36)
        if (characters[:, _HYPHENS] == ord("-")).all():
            digits = np.delete(characters, _HYPHENS, axis=1).tobytes().decode()
            try:
                packed = bytes.fromhex(digits)
            except ValueError:
                pass
            else:
                if packed.hex() == digits:  # fromhex also accepts upper case and spaces
                    return [packed[start : start + 16] for start in range(0, len(packed), 16)]
    return [pack_id(text) for text in texts]


def _decode_attempts(text: str) -> tuple[Attempt, ...]:
    try:
        return _attempts(text)
    except msgspec.DecodeError:  # JSON with an escaped lone surrogate, which only the lenient parser accepts
        return msgspec.convert(json.loads(text), tuple[Attempt, ...])


def _decode_data(text: str) -> dict[str, dict[str, Any]]:
    try:
        return _data(text)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(text), dict[str, dict[str, Any]])


def _decode_lost(text: str) -> Lost:
    try:
        return _lost(text)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(text), Lost)


def _decode_event_times(text: str) -> dict[str, tuple[float, ...]]:
    try:
        return _event_times(text)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(text), dict[str, tuple[float, ...]])


class WordTable(dict[str | None, int | None]):
    """Words of one kind and their ids in the dictionary of a segment. A new word gets an id at its first use, and is in
    `new_words` until it is written in the same transaction as the rows that use it."""

    def __init__(self, kind: str, allocate_id: Callable[[], int], fresh: list[tuple[int, str, str]]) -> None:
        super().__init__()
        self[None] = None
        self.kind = kind
        self._allocate_id = allocate_id
        self._new_words = fresh

    def __missing__(self, word: str | None) -> int | None:
        assert word is not None
        stored = escape_surrogates(word)
        number = self.get(stored)
        if number is None:
            number = self._allocate_id()
            self._new_words.append((number, self.kind, stored))
            self[stored] = number
        self[word] = number
        return number


class WordDictionary:
    """The words of one segment, in both directions."""

    def __init__(self, rows: Iterable[tuple[int, str, str]] = ()) -> None:
        self.new_words: list[tuple[int, str, str]] = []
        self.values: dict[int | None, str | None] = {None: None}
        self.last_id = LAST_STATE_ID
        self.kinds = {kind: WordTable(kind, self._allocate_id, self.new_words) for kind in set(WORD_KINDS.values())}
        self.load(rows)

    def load(self, rows: Iterable[tuple[int, str, str]]) -> None:
        for number, kind, value in rows:
            self.kinds[kind][value] = number
            self.values[number] = value
            self.last_id = max(self.last_id, number)

    def _allocate_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def pop_new_words(self) -> list[tuple[int, str, str]]:
        """The words that are not on disk yet."""
        rows = self.new_words[:]
        self.new_words.clear()
        for number, _, value in rows:
            self.values[number] = value
        return rows

    def words(self, kind: str) -> Iterable[tuple[int, str]]:
        for value, number in self.kinds[kind].items():
            if value is not None and number is not None:
                yield number, value


_AT = {column: place for place, column in enumerate(TASK_COLUMNS)}
_WORDS_AT = tuple(_AT[column] for column in WORD_KINDS)
_UUID_AT, _ROOT_AT, _PARENT_AT = (_AT[column] for column in TASK_ID_COLUMNS)
_EARLIER_AT, _DATA_AT, _LOST_AT, _EVENT_TIMES_AT = (_AT[column] for column in TASK_JSON_COLUMNS)
_FIRST_FIELD = _AT[TASK_FIELDS[0]]

#: Types that the values of a column have; NULL is valid in all but the ids.
_VALID_TYPES: Final = tuple(
    (bytes, str)
    if column == "uuid"
    else (bytes, str, type(None))
    if column in TASK_ID_COLUMNS
    else (str, type(None))
    if column in TASK_TEXT_COLUMNS or column in TASK_JSON_COLUMNS
    else (float, int, type(None))
    if column in TASK_REAL_COLUMNS
    else (int, type(None))
    for column in TASK_COLUMNS
)
#: Types of complete rows that were checked; there are few, so a set is faster than checking each value.
_checked_types: set[tuple[type, ...]] = set()
_MAX_CHECKED_TYPES: Final = 4_096
#: Event name under which the unreadable fields of a task are listed in `Task.data`.
UNREADABLE_FIELDS: Final = "unreadable"


class DamagedRow(Exception):
    """A value of the row is damaged."""


def decode_row(row: tuple[Any, ...], values: dict[int | None, str | None]) -> Task:
    """The record of a row. Raises KeyError for a word that is not in `values` yet, DamagedRow if a value cannot be
    decoded (`decode_readable_fields` decodes the others)."""
    types = tuple(map(type, row))
    if types not in _checked_types:
        _check_types(types)
    fields = list(row)
    for index in _WORDS_AT:
        fields[index] = values[fields[index]]
    fields[_UUID_AT] = uuid = unpack_id(fields[_UUID_AT])
    root = fields[_ROOT_AT]
    if root is not None:
        fields[_ROOT_AT] = uuid if root == row[_UUID_AT] else unpack_id(root)
    parent = fields[_PARENT_AT]
    if parent is not None:
        fields[_PARENT_AT] = unpack_id(parent)
    try:
        earlier = fields[_EARLIER_AT]
        fields[_EARLIER_AT] = () if earlier is None else _decode_attempts(earlier)
        data = fields[_DATA_AT]
        if data is not None:
            fields[_DATA_AT] = _decode_data(data)
        lost = fields[_LOST_AT]
        if lost is not None:
            fields[_LOST_AT] = _decode_lost(lost)
        event_times = fields[_EVENT_TIMES_AT]
        if event_times is not None:
            fields[_EVENT_TIMES_AT] = _decode_event_times(event_times)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise DamagedRow(str(error)) from error
    return Task(*fields[_FIRST_FIELD:])


def has_id(row: tuple[Any, ...]) -> bool:
    """Whether the id of a damaged row can be read."""
    return isinstance(row[_UUID_AT], _VALID_TYPES[_UUID_AT])


def decode_readable_fields(row: tuple[Any, ...], values: dict[int | None, str | None]) -> tuple[Task, tuple[str, ...]]:
    """The record of a damaged row, without the fields that cannot be decoded, and their names. They are also listed in
    `data`."""
    fields = list(row)
    unreadable: list[str] = []
    for index, types in enumerate(_VALID_TYPES):
        if not isinstance(fields[index], types):
            fields[index] = b"\0" * 16 if index == _UUID_AT else None
            unreadable.append(TASK_COLUMNS[index])
    for index in _WORDS_AT:
        if fields[index] not in values:
            fields[index] = None
            unreadable.append(TASK_COLUMNS[index])
    for index, decode in _JSON_DECODERS.items():
        try:
            if fields[index] is not None:
                decode(fields[index])
        except (ValueError, RecursionError, msgspec.MsgspecError):
            fields[index] = None
            unreadable.append(TASK_COLUMNS[index])
    task = decode_row(tuple(fields), values)
    if task.state is None:
        task = msgspec.structs.replace(task, state=PENDING)
    data = {**(task.data or {}), UNREADABLE_FIELDS: {"fields": unreadable}}
    return msgspec.structs.replace(task, data=data), tuple(unreadable)


_JSON_DECODERS: Final[Mapping[int, Callable[[str], Any]]] = {
    _EARLIER_AT: _decode_attempts,
    _DATA_AT: _decode_data,
    _LOST_AT: _decode_lost,
    _EVENT_TIMES_AT: _decode_event_times,
}


def _check_types(types: tuple[type, ...]) -> None:
    for column, found, valid in zip(TASK_COLUMNS, types, _VALID_TYPES, strict=True):
        if found not in valid:
            raise DamagedRow(f"{column} has the type {found.__name__}")
    if len(_checked_types) >= _MAX_CHECKED_TYPES:
        _checked_types.clear()
    _checked_types.add(types)


#: If one of these fields changes, `plain` may change.
_TEXT_MASK = sum(1 << TASK_FIELDS.index(column) for column in TASK_TEXT_COLUMNS)


def changed_fields_mask(before: Task, after: Task) -> int:
    """Bit mask over TASK_FIELDS of the fields that differ."""
    mask = 0
    bit = 1
    for old, new in zip(_astuple(before), _astuple(after), strict=True):
        if old is not new and old != new:
            mask |= bit
        bit <<= 1
    return mask


def build_update_statement(mask: int) -> tuple[str, tuple[int, ...]]:
    """The UPDATE of exactly these fields, and the indexes of its values in the row (the key comes last)."""
    columns = [field for index, field in enumerate(TASK_FIELDS) if mask >> index & 1]
    if mask & _TEXT_MASK:
        columns.append("plain")
    assignments = ", ".join(f"{column}=?" for column in columns)
    return f"UPDATE task SET {assignments} WHERE id=?", (*(_AT[column] for column in columns), 0)
