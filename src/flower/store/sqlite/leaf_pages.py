"""Reads rows directly from the leaf pages of the tables in a damaged file: SQLite reaches a leaf only through the pages
above it, so one unreadable page there hides hundreds of leaves. The file format is that of
https://www.sqlite.org/fileformat2.html, sections 1.6, 2.1 and 4.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import apsw

from flower.store.sqlite.compression.compressed_file import CompressedFile, is_damaged_compressed_file
from flower.store.sqlite.file_header import DEFAULT_PAGE_SIZE, open_database_file, read_file_header, read_log_index

_TABLE_LEAF: Final = 0x0D
_LEAF_HEADER_BYTES: Final = 8
#: Bytes of the database header, at the beginning of page 1.
_FIRST_PAGE_OFFSET: Final = 100
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_CONSTANTS: Final = {0: None, 8: 0, 9: 1}
_FLOAT: Final = 7
_FIRST_BLOB: Final = 12

#: Key and values of a row. The value of an INTEGER PRIMARY KEY is None: it is the key.
LeafRow = tuple[int, tuple[Any, ...]]


class _DamagedCell(Exception):
    """The cell, or a page that continues it, cannot be read."""


class _PageReader:
    """The pages of a file, with the changes in its write-ahead log."""

    def __init__(self, path: Path) -> None:
        try:
            self.page_size = read_file_header(path).page_size
        except apsw.Error:
            self.page_size = DEFAULT_PAGE_SIZE
        is_compressed = is_damaged_compressed_file(path)
        self._file = CompressedFile(path, is_damaged=True) if is_compressed else open_database_file(path)
        self._log_offsets = {} if is_compressed else read_log_index(path)
        self._log = path.with_name(f"{path.name}-wal").open("rb") if self._log_offsets else None
        self.count = max([self._file.xFileSize() // self.page_size, *self._log_offsets])

    def read(self, number: int) -> bytes:
        """The page; empty if it does not exist or cannot be read."""
        try:
            if self._log is not None and number in self._log_offsets:
                self._log.seek(self._log_offsets[number])
                page = self._log.read(self.page_size)
            else:
                page = self._file.xRead(self.page_size, (number - 1) * self.page_size)
        except (apsw.Error, OSError):
            return b""
        return page if len(page) == self.page_size else b""

    def free_pages(self) -> set[int]:
        """Pages that are not in use: they may contain rows that were deleted."""
        free: set[int] = set()
        trunk = int.from_bytes(self.read(1)[32:36], "big")
        while trunk and trunk not in free:
            content = self.read(trunk)
            count = min(int.from_bytes(content[4:8], "big"), self.page_size // 4 - 2)
            free.add(trunk)
            free.update(int.from_bytes(content[8 + 4 * i : 12 + 4 * i], "big") for i in range(count))
            trunk = int.from_bytes(content[:4], "big")
        return free

    def close(self) -> None:
        self._file.xClose()
        if self._log is not None:
            self._log.close()


def iter_leaf_rows(path: Path, is_wanted: Callable[[int], bool]) -> Iterator[LeafRow]:
    """The rows of all tables whose key is wanted, in the order of the pages."""
    try:
        pages = _PageReader(path)
    except apsw.CorruptError:
        return  # a compressed segment without a readable index
    try:
        free_pages = pages.free_pages()
        for number in range(1, pages.count + 1):
            page = b"" if number in free_pages else pages.read(number)
            start = _FIRST_PAGE_OFFSET if number == 1 else 0
            if page[start : start + 1] != bytes([_TABLE_LEAF]):
                continue
            cells = int.from_bytes(page[start + 3 : start + 5], "big")
            first = start + _LEAF_HEADER_BYTES
            for place in range(first, min(first + 2 * cells, len(page) - 1), 2):
                try:
                    row = _read_cell(pages, page, int.from_bytes(page[place : place + 2], "big"), is_wanted)
                except (_DamagedCell, IndexError):
                    continue
                if row is not None:
                    yield row
    finally:
        pages.close()


def _read_cell(pages: _PageReader, page: bytes, offset: int, is_wanted: Callable[[int], bool]) -> LeafRow | None:
    size, offset = _read_varint(page, offset)
    key, offset = _read_varint(page, offset)
    if not is_wanted(key):
        return None
    return key, _decode_record(_read_payload(pages, page, offset, size))


def _read_payload(pages: _PageReader, page: bytes, offset: int, size: int) -> bytes:
    local = _local_size(size, pages.page_size)
    payload = page[offset : offset + local]
    if local == size:
        return payload
    following = int.from_bytes(page[offset + local : offset + local + 4], "big")
    parts, missing, seen = [payload], size - local, set[int]()
    while missing > 0:
        content = pages.read(following)
        if not content or following in seen:
            raise _DamagedCell
        seen.add(following)
        parts.append(content[4 : 4 + missing])
        missing -= len(parts[-1])
        following = int.from_bytes(content[:4], "big")
    return b"".join(parts)


def _local_size(size: int, page_size: int) -> int:
    """How many bytes of the payload are in the leaf page itself."""
    if size <= page_size - 35:
        return size
    minimum = (page_size - 12) * 32 // 255 - 23
    local = minimum + (size - minimum) % (page_size - 4)
    return local if local <= page_size - 35 else minimum


def _decode_record(record: bytes) -> tuple[Any, ...]:
    header_size, place = _read_varint(record, 0)
    types: list[int] = []
    while place < header_size:
        serial_type, place = _read_varint(record, place)
        types.append(serial_type)
    values: list[Any] = []
    for serial_type in types:
        value, place = _decode_value(record, place, serial_type)
        values.append(value)
    return tuple(values)


def _decode_value(record: bytes, place: int, serial_type: int) -> tuple[Any, int]:
    if serial_type in _CONSTANTS:
        return _CONSTANTS[serial_type], place
    if serial_type >= _FIRST_BLOB:
        end = place + (serial_type - _FIRST_BLOB) // 2
    else:
        end = place + (8 if serial_type == _FLOAT else _INTEGER_BYTES.get(serial_type, len(record) + 1))
    if end > len(record):
        raise _DamagedCell
    content = record[place:end]
    if serial_type == _FLOAT:
        return struct.unpack(">d", content)[0], end
    if serial_type < _FIRST_BLOB:
        return int.from_bytes(content, "big", signed=True), end
    return (content.decode("utf-8", "replace") if serial_type % 2 else content), end


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A signed integer of up to 64 bits and the place after it. Raises IndexError."""
    value = 0
    for index in range(8):
        byte = data[place + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + index + 1
    value = value << 8 | data[place + 8]
    return value - (1 << 64 if value >= 1 << 63 else 0), place + 9
