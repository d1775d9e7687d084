"""Conversion of a plain file to a compressed one, in steps, and of a compressed file to a plain one.

The new file is written under another name, synced, and renamed to the name of the segment. So a process that is killed
at any moment leaves exactly one complete file. The write-ahead log of the plain file must be empty before, and is
removed: SQLite would otherwise combine it with another file.
"""

import os
import stat
import time
from pathlib import Path
from typing import IO, Any, Final

from flower.private_files import open_file
from flower.store.sqlite.compressed_layout import PAGES_PER_BLOCK, encode_prefix, encode_trailer, prefix_size
from flower.store.sqlite.compression.block_cache import BlockCache
from flower.store.sqlite.compression.compressed_file import CompressedFile
from flower.store.sqlite.file_header import open_database_file, read_file_header

#: Higher levels need three times as long for 4 % less space.
_LEVEL: Final = 3
_COMPRESSED_SUFFIX: Final = ".compressed.new"
_PLAIN_SUFFIX: Final = ".plain.new"

#: inode, size and time of the last change
_State = tuple[int, int, int]


class FileChanged(Exception):
    """The plain file was changed, or its write-ahead log is not empty."""


class FileCompressor:
    """Writes the compressed form of a plain file, which must not change meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises FileChanged, OSError and apsw errors."""
        self.path = path
        self.compressed_path = path.with_name(path.name + _COMPRESSED_SUFFIX)
        self._state = _read_state(path)
        header = read_file_header(path)
        if header.is_compressed or header.file_bytes != self._state[1]:
            raise FileChanged
        self._header = header
        self._lengths: list[int] = []
        self._block_count = -(-header.pages // PAGES_PER_BLOCK)
        # here, because a process that compresses nothing does not need its memory
        import zstandard  # noqa: PLC0415

        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
        self._decompressor = zstandard.ZstdDecompressor()
        self._source = open_database_file(path)
        self._target: IO[Any] | None = None
        try:
            self._target = open_file(self.compressed_path, "wb")
            self._target.seek(prefix_size(self._block_count))
        except BaseException:
            self.discard()
            raise

    def step(self, seconds: float) -> bool:
        """Compress blocks for this time. Return whether all are on disk. Raises OSError and apsw errors."""
        assert self._target is not None
        deadline = time.monotonic() + seconds
        size = PAGES_PER_BLOCK * self._header.page_size
        while len(self._lengths) < self._block_count:
            offset = len(self._lengths) * size
            block = self._source.xRead(min(size, self._header.file_bytes - offset), offset)
            if len(block) != min(size, self._header.file_bytes - offset):
                raise FileChanged
            frame = self._compressor.compress(block)
            if self._decompressor.decompress(frame) != block:
                raise OSError("a compressed block differs from its pages")
            self._target.write(frame)
            self._lengths.append(len(frame))
            if time.monotonic() > deadline:
                break
        is_complete = len(self._lengths) == self._block_count
        if is_complete:
            header = self._header
            prefix = encode_prefix(
                self._lengths, header.application_id, header.format_number, header.page_size, header.pages
            )
            self._target.write(prefix + encode_trailer(prefix))
            self._target.seek(0)
            self._target.write(prefix)
        # in each step, so that the last one does not wait for all of the file
        self._target.flush()
        os.fsync(self._target.fileno())
        return is_complete

    def replace(self) -> None:
        """Give the complete file the name of the segment, which nothing may have open for writing. Raises FileChanged,
        OSError and apsw errors."""
        verify = CompressedFile(self.compressed_path, cache=BlockCache(0))
        try:
            if verify.xFileSize() != self._state[1]:
                raise FileChanged
        finally:
            verify.xClose()
        if _read_state(self.path) != self._state:
            raise FileChanged
        _copy_attributes(self.path, self.compressed_path)
        self.compressed_path.rename(self.path)
        # after the file has its name: the log belongs to the plain file
        _remove_log(self.path)
        sync_directory(self.path.parent)
        self.discard()

    def discard(self) -> None:
        """Remove the incomplete file."""
        self._source.xClose()
        if self._target is not None:
            self._target.close()
        self.compressed_path.unlink(missing_ok=True)


def make_plain(path: Path) -> None:
    """Replace a compressed file by the plain one. Raises OSError, and apsw errors if a block is damaged; the compressed
    file then remains."""
    plain_path = path.with_name(path.name + _PLAIN_SUFFIX)
    plain_path.unlink(missing_ok=True)
    file = CompressedFile(path, cache=BlockCache(0))
    try:
        with open_file(plain_path, "wb") as target:
            for number in range(file.header.block_count):
                target.write(file.read_block(number))
            target.flush()
            os.fsync(target.fileno())
        _copy_attributes(path, plain_path)
        # before the file has its name: a log created later belongs to it
        _remove_log(path)
        plain_path.rename(path)
        sync_directory(path.parent)
    except BaseException:
        plain_path.unlink(missing_ok=True)
        raise
    finally:
        file.xClose()


def _read_state(path: Path) -> _State:
    """Raises FileChanged if there is content in the write-ahead log."""
    for suffix in ("-wal", "-journal"):
        try:
            if path.with_name(path.name + suffix).stat().st_size:
                raise FileChanged
        except FileNotFoundError:
            pass
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _copy_attributes(path: Path, new: Path) -> None:
    """Mode, and time of the last change, which readers compare with that of meta.db."""
    status = path.stat()
    new.chmod(stat.S_IMODE(status.st_mode))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove_log(path: Path) -> None:
    """Remove the empty log and its index. Readers of the file that was replaced still have theirs open."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
