"""Layout of a compressed segment.

    header | index | blocks | header | index | trailer

A block has PAGES_PER_BLOCK pages of the database, as one zstd frame with a checksum of its content. The index has the
length of each block. Header and index exist twice: if the beginning of the file is damaged, blocks are found from its
end; if the file was cut off, from its beginning.
"""

import secrets
import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple
from zlib import crc32

#: At the beginning of the file, and in the trailer. A SQLite file begins with "SQLite format 3".
MAGIC: Final = b"BELLSEGZ"
#: Number of this layout.
_LAYOUT: Final = 1
#: Smaller blocks are decompressed faster, larger ones need less space: 32 KB.
PAGES_PER_BLOCK: Final = 8
#: magic, identity, layout, application id, store format, page size, pages, pages per block, size of the file, CRC-32 of
#: the index; followed by the CRC-32 of these
_HEADER: Final = struct.Struct("<8s8sIIIIIIQI")
_CHECKSUM: Final = struct.Struct("<I")
HEADER_BYTES: Final = _HEADER.size + _CHECKSUM.size
#: magic, bytes of header and index
_TRAILER: Final = struct.Struct("<8sI")
TRAILER_BYTES: Final = _TRAILER.size
#: Bytes of a length in the index.
_LENGTH_BYTES: Final = 4


class CompressedHeader(NamedTuple):
    """`identity`: random bytes that no other file has. `application_id`, `format_number`: those of the database.
    `file_bytes`: size of the complete file."""

    identity: bytes
    application_id: int
    format_number: int
    page_size: int
    pages: int
    pages_per_block: int
    file_bytes: int
    index_checksum: int

    @property
    def database_bytes(self) -> int:
        return self.pages * self.page_size

    @property
    def block_bytes(self) -> int:
        return self.pages_per_block * self.page_size

    @property
    def block_count(self) -> int:
        return -(-self.pages // self.pages_per_block)

    @property
    def prefix_bytes(self) -> int:
        """Size of header and index."""
        return prefix_size(self.block_count)


def prefix_size(block_count: int) -> int:
    return HEADER_BYTES + block_count * _LENGTH_BYTES


def encode_prefix(lengths: Sequence[int], application_id: int, format_number: int, page_size: int, pages: int) -> bytes:
    """Header and index of a file with blocks of these lengths."""
    index = struct.pack(f"<{len(lengths)}I", *lengths)
    size = 2 * prefix_size(len(lengths)) + sum(lengths) + TRAILER_BYTES
    header = _HEADER.pack(
        MAGIC, secrets.token_bytes(8), _LAYOUT, application_id, format_number, page_size, pages, PAGES_PER_BLOCK, size,
        crc32(index),
    )  # fmt: skip
    return header + _CHECKSUM.pack(crc32(header)) + index


def encode_trailer(prefix: bytes) -> bytes:
    return _TRAILER.pack(MAGIC, len(prefix))


def decode_header(content: bytes) -> CompressedHeader:
    """Raises ValueError."""
    header = content[: _HEADER.size]
    if len(content) < HEADER_BYTES or _CHECKSUM.unpack_from(content, _HEADER.size)[0] != crc32(header):
        raise ValueError("the header of the compressed segment is damaged")
    _, identity, layout, *values = _HEADER.unpack(header)
    if layout != _LAYOUT:
        raise ValueError(f"unknown layout {layout} of a compressed segment")
    return CompressedHeader(identity, *values)


def decode_index(header: CompressedHeader, content: bytes) -> "array[int]":
    """The offset of each block, and of the end of the last one. Raises ValueError."""
    if len(content) != header.block_count * _LENGTH_BYTES or crc32(content) != header.index_checksum:
        raise ValueError("the index of the compressed segment is damaged")
    lengths = struct.unpack(f"<{header.block_count}I", content)
    return array("Q", accumulate(lengths, initial=header.prefix_bytes))


def decode_trailer(content: bytes) -> int:
    """The size of header and index; 0 if this is not a trailer."""
    if len(content) != TRAILER_BYTES:
        return 0
    magic, size = _TRAILER.unpack(content)
    return int(size) if magic == MAGIC and size >= HEADER_BYTES else 0
