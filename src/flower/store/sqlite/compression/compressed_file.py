"""A compressed segment, open for reading: the pages of its database."""

import threading
from array import array
from pathlib import Path
from typing import Final

import apsw

from flower.store.sqlite.compressed_layout import (
    HEADER_BYTES,
    MAGIC,
    TRAILER_BYTES,
    CompressedHeader,
    decode_header,
    decode_index,
    decode_trailer,
)
from flower.store.sqlite.compression.block_cache import BlockCache, shared_blocks
from flower.store.sqlite.file_header import open_database_file


class _Decompressor:
    """Decompresses blocks, in one thread."""

    def __init__(self) -> None:
        # here, because processes that read no compressed segment do not need its memory
        import zstandard  # noqa: PLC0415

        self._decompressor = zstandard.ZstdDecompressor()
        self._read_size = zstandard.frame_content_size
        self._error = zstandard.ZstdError

    def decompress(self, frame: bytes, size: int) -> bytes | None:
        """The content; None if it cannot be decompressed or has another size."""
        try:
            # a frame states its size: a damaged one must not allocate gigabytes
            content = self._decompressor.decompress(frame) if self._read_size(frame) == size else b""
        except self._error:
            return None
        return content if len(content) == size else None


_local: Final = threading.local()


def _thread_decompressor() -> _Decompressor:
    """One for each thread: a decompressor is not thread-safe, and to create one takes as long as to decompress."""
    decompressor: _Decompressor | None = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = _Decompressor()
    return decompressor


class CompressedFile:
    """The methods have the names of `apsw.VFSFile`, so that the database can be read in place of a plain file. Used by
    one thread at a time."""

    def __init__(self, path: Path, *, is_damaged: bool = False, cache: BlockCache = shared_blocks) -> None:
        """`is_damaged`: use the copies of header and index if the first ones cannot be read, and accept a file that was
        cut off. Raises apsw errors."""
        self._cache = cache
        self._file = open_database_file(path)
        try:
            self.header, self._offsets = self._read_prefix(0, is_damaged=is_damaged)
            if not is_damaged and self._file.xFileSize() < self.header.file_bytes:
                raise apsw.CorruptError("the compressed segment was cut off")
        except ValueError as error:
            self._file.xClose()
            raise apsw.CorruptError(str(error)) from error
        except BaseException:
            self._file.xClose()
            raise

    def _read_prefix(self, offset: int, *, is_damaged: bool) -> "tuple[CompressedHeader, array[int]]":
        try:
            content = self._file.xRead(HEADER_BYTES, offset)
            header = decode_header(content)
            index = self._file.xRead(header.prefix_bytes - HEADER_BYTES, offset + HEADER_BYTES)
            return header, decode_index(header, index)
        except ValueError:
            copy = _find_copy(self._file) if is_damaged and offset == 0 else 0
            if not copy:
                raise
        return self._read_prefix(copy, is_damaged=False)

    def xFileSize(self) -> int:
        return self.header.database_bytes

    def xRead(self, amount: int, offset: int) -> bytes:
        """Part of the database. Raises IOError if a block is damaged."""
        number, start = divmod(offset, self.header.block_bytes)
        content = self.read_block(number)[start : start + amount]
        while len(content) < amount and number + 1 < self.header.block_count:
            number += 1
            content += self.read_block(number)[: amount - len(content)]
        return content

    def read_block(self, number: int) -> bytes:
        """The pages of a block. Raises IOError if it is damaged."""
        if number >= self.header.block_count:
            return b""
        key = (self.header.identity, number)
        block = self._cache.get(key)
        if block is None:
            block = self._decompress_block(number)
            self._cache.put(key, block)
        return block

    def _decompress_block(self, number: int) -> bytes:
        first, last = self._offsets[number], self._offsets[number + 1]
        size = min(self.header.block_bytes, self.header.database_bytes - number * self.header.block_bytes)
        block = _thread_decompressor().decompress(self._file.xRead(last - first, first), size)
        if block is None:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DATA)
        return block

    def xClose(self) -> None:
        self._file.xClose()


def is_damaged_compressed_file(path: Path) -> bool:
    """Whether the file is a compressed segment, even if its beginning or its end is missing."""
    file = open_database_file(path)
    try:
        return file.xRead(len(MAGIC), 0) == MAGIC or _find_copy(file) > 0
    finally:
        file.xClose()


def _find_copy(file: apsw.VFSFile) -> int:
    """Offset of the copy of header and index; 0 if there is none."""
    end = file.xFileSize() - TRAILER_BYTES
    size = decode_trailer(file.xRead(TRAILER_BYTES, end)) if end > 0 else 0
    return max(0, end - size) if size else 0
