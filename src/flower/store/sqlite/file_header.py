"""The header of a database file, and the check that no page is missing at the end of the file.

SQLite reads the missing part of a last page as zeros, and rows in it as rows without values. While other connections
have the file open, it also accepts a file that lacks whole pages. The number of pages in the header reveals both.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from flower.store.sqlite.compressed_layout import MAGIC, decode_header

#: Start of a database file.
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
#: SQLite's, which the store does not change.
DEFAULT_PAGE_SIZE: Final = 4096
_LOG_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24


class FileHeader(NamedTuple):
    """`pages`: number of pages at the last checkpoint. `file_bytes`: size of a complete file, without its write-ahead
    log. `is_compressed`: the pages are in compressed blocks (`compression`)."""

    application_id: int
    format_number: int
    page_size: int
    pages: int
    file_bytes: int
    is_compressed: bool


class FileState(NamedTuple):
    """Which file has a name, and how large it is; 0 if it does not exist. `log`: inode of the write-ahead log."""

    inode: int
    log: int
    size: int

    def is_replaced_by(self, now: "FileState") -> bool:
        """Whether a connection that was opened in this state must be opened again: the file or its log is another one,
        or the file has become shorter, which SQLite never does to a file of the store."""
        return now[:2] != self[:2] or now.size < self.size


def read_file_state(path: Path) -> FileState:
    states: list[tuple[int, int]] = []
    for file in (path, f"{path}-wal"):
        try:
            status = os.stat(file)
            states.append((status.st_ino, status.st_size))
        except OSError:
            states.append((0, 0))
    return FileState(states[0][0], states[1][0], states[0][1])


class SizeGuard:
    """Detects that a file was cut off while the writer has it open. Its next checkpoint would make the file as long as
    before, with zeros in place of the missing pages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = read_file_state(path).size

    def is_cut_off(self) -> bool:
        size = read_file_state(self._path).size
        if 0 < size < self._size:
            return True
        self._size = size
        return False

    def verify(self) -> None:
        """Raises CorruptError."""
        if self.is_cut_off():
            raise apsw.CorruptError("the file was cut off")


def read_file_header(path: Path) -> FileHeader:
    """The header, without taking a lock. Raises apsw errors if the file is not a database.

    The header does not change while another process creates tables or switches to the write-ahead log; a connection
    would also read the schema and the size.
    """
    header = read_bytes(path, 0, _HEADER_BYTES)
    if header.startswith(MAGIC):
        return _decode_compressed(header)
    if not header.startswith(_SQLITE_MAGIC):
        raise apsw.NotADBError("file is not a database")
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65_536 if page_size == 1 else page_size
    pages = int.from_bytes(header[28:32], "big")
    return FileHeader(
        application_id=int.from_bytes(header[68:72], "big"),
        format_number=int.from_bytes(header[60:64], "big"),
        page_size=page_size,
        pages=pages,
        file_bytes=pages * page_size,
        is_compressed=False,
    )


def _decode_compressed(content: bytes) -> FileHeader:
    try:
        header = decode_header(content)
    except ValueError as error:
        raise apsw.NotADBError(str(error)) from error
    return FileHeader(
        application_id=header.application_id,
        format_number=header.format_number,
        page_size=header.page_size,
        pages=header.pages,
        file_bytes=header.file_bytes,
        is_compressed=True,
    )


def is_compressed_file(path: Path) -> bool:
    """Whether the file is a compressed segment. Raises apsw errors if it does not exist."""
    return read_bytes(path, 0, len(MAGIC)) == MAGIC


def open_database_file(path: Path, *, is_writable: bool = False) -> apsw.VFSFile:
    """The file, opened by SQLite: closing a file that this process has opened itself would release SQLite's locks on it
    (POSIX lock semantics)."""
    mode = apsw.SQLITE_OPEN_READWRITE if is_writable else apsw.SQLITE_OPEN_READONLY
    return apsw.VFSFile("", str(path.absolute()), [apsw.SQLITE_OPEN_MAIN_DB | mode, 0])


def read_bytes(path: Path, offset: int, count: int) -> bytes:
    file = open_database_file(path)
    try:
        return file.xRead(count, offset)
    finally:
        file.xClose()


def require_complete_file(path: Path) -> None:
    """Raises CorruptError if pages are missing: they are neither in the file nor in its write-ahead log. A checkpoint
    writes the header before the pages at the end of the file, and keeps the log until it is complete."""
    header = read_file_header(path)
    if _has_all_pages(path, header):
        return
    if header.is_compressed:
        raise apsw.CorruptError("the compressed segment was cut off")
    first_missing = path.stat().st_size // header.page_size + 1
    missing = set(range(first_missing, header.pages + 1)) - read_log_index(path).keys()
    # the size again: the checkpoint may have been completed, and the log emptied, meanwhile
    if missing and not _has_all_pages(path, header):
        raise apsw.CorruptError("the file is shorter than its header states")


def _has_all_pages(path: Path, header: FileHeader) -> bool:
    return path.stat().st_size >= header.file_bytes


def read_log_index(path: Path) -> dict[int, int]:
    """By number of each page in the write-ahead log: the offset of its last committed content there."""
    committed: dict[int, int] = {}
    try:
        log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return committed
    try:
        header, size = os.pread(log, _LOG_HEADER_BYTES, 0), os.fstat(log).st_size
        frame_size, salts = _FRAME_HEADER_BYTES + int.from_bytes(header[8:12], "big"), header[16:24]
        uncommitted: dict[int, int] = {}
        for offset in range(_LOG_HEADER_BYTES, size - frame_size + 1, frame_size):
            frame = os.pread(log, _FRAME_HEADER_BYTES, offset)
            if frame[8:16] != salts:
                break  # left from before the log was last emptied
            uncommitted[int.from_bytes(frame[:4], "big")] = offset + _FRAME_HEADER_BYTES
            if any(frame[4:8]):  # the size of the database after a commit
                committed |= uncommitted
                uncommitted.clear()
    finally:
        os.close(log)
    return committed
