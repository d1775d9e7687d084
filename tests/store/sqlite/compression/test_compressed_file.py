"""The file of a compressed segment: its pages, and what is readable of a damaged one."""

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from flower.store.sqlite.compressed_layout import HEADER_BYTES, PAGES_PER_BLOCK
from flower.store.sqlite.compression.block_cache import BlockCache
from flower.store.sqlite.compression.compressed_file import CompressedFile, is_damaged_compressed_file
from flower.store.sqlite.compression.file_conversion import FileCompressor
from flower.store.sqlite.connection import create_database
from flower.store.sqlite.file_header import is_compressed_file, read_file_header
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT

PAGE = 4096
BLOCK = PAGES_PER_BLOCK * PAGE
NO_CACHE = BlockCache(0)


def create_plain(path: Path, rows: int = 2_000) -> bytes:
    """A database whose last block is not full."""
    chance = random.Random(3)
    create_database(path, ["CREATE TABLE text(content)"], APPLICATION_ID, STORE_FORMAT)
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT INTO text VALUES (?)", [(f"{number} {chance.random()} " * 9,) for number in range(rows)])
    content = path.read_bytes()
    assert len(content) % BLOCK
    return content


def compress(path: Path) -> None:
    compressor = FileCompressor(path)
    while not compressor.step(0.0):
        pass
    compressor.replace()


@pytest.fixture
def compressed(tmp_path: Path) -> tuple[Path, bytes]:
    """The file, and the content of the database."""
    content = create_plain(tmp_path / "segment.db")
    compress(tmp_path / "segment.db")
    return tmp_path / "segment.db", content


def read_blocks(path: Path, *, is_damaged: bool = False) -> list[bytes | None]:
    """None: the block cannot be read."""
    file = CompressedFile(path, is_damaged=is_damaged, cache=NO_CACHE)
    blocks: list[bytes | None] = []
    try:
        for number in range(file.header.block_count):
            try:
                blocks.append(file.read_block(number))
            except apsw.IOError:
                blocks.append(None)
    finally:
        file.xClose()
    return blocks


def test_every_part_of_the_database_is_read(compressed: tuple[Path, bytes]) -> None:
    path, content = compressed
    file = CompressedFile(path)
    assert path.stat().st_size < len(content) / 2
    assert file.xFileSize() == len(content)
    chance = random.Random(1)
    for _ in range(300):
        offset, amount = chance.randrange(len(content)), chance.choice((16, 100, PAGE, 2 * BLOCK))
        assert file.xRead(amount, offset) == content[offset : offset + amount]
    file.xClose()


def test_header_has_the_numbers_of_the_database(compressed: tuple[Path, bytes]) -> None:
    path, content = compressed
    header = read_file_header(path)
    assert header.is_compressed
    assert (header.application_id, header.format_number) == (APPLICATION_ID, STORE_FORMAT)
    assert (header.page_size, header.pages) == (PAGE, len(content) // PAGE)
    assert header.file_bytes == path.stat().st_size


def test_flipped_bit_makes_one_block_unreadable_and_never_changes_content(compressed: tuple[Path, bytes]) -> None:
    path, content = compressed
    intact = path.read_bytes()
    expected = read_blocks(path)
    assert b"".join(block or b"" for block in expected) == content
    chance = random.Random(2)
    unreadable = 0
    for _ in range(200):
        changed = bytearray(intact)
        changed[chance.randrange(len(intact))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        found = read_blocks(path, is_damaged=True)
        assert all(block in (None, right) for block, right in zip(found, expected, strict=True))
        assert found.count(None) <= 1
        unreadable += None in found
    assert unreadable > 100


@pytest.mark.parametrize("position", [0, 20, HEADER_BYTES + 1])
def test_all_blocks_of_a_file_with_a_damaged_beginning_are_found(compressed: tuple[Path, bytes], position: int) -> None:
    path, content = compressed
    with path.open("r+b") as file:
        file.seek(position)
        file.write(b"\xff\xff\xff")
    with pytest.raises(apsw.CorruptError):
        CompressedFile(path)
    assert is_damaged_compressed_file(path)
    assert b"".join(block or b"" for block in read_blocks(path, is_damaged=True)) == content


@pytest.mark.parametrize("percent", [30, 60, 99])
def test_blocks_before_a_cut_are_found(compressed: tuple[Path, bytes], percent: int) -> None:
    path, content = compressed
    os.truncate(path, path.stat().st_size * percent // 100)
    with pytest.raises(apsw.CorruptError, match="cut off"):
        CompressedFile(path)
    blocks = read_blocks(path, is_damaged=True)
    readable = len([block for block in blocks if block is not None])
    assert readable >= len(blocks) * percent // 100 - 1
    assert b"".join(block or b"" for block in blocks[:readable]) == content[: readable * BLOCK]


def test_plain_file_is_not_a_compressed_one(tmp_path: Path) -> None:
    create_plain(tmp_path / "plain.db")
    assert not is_compressed_file(tmp_path / "plain.db")
    assert not is_damaged_compressed_file(tmp_path / "plain.db")
    with pytest.raises(apsw.CorruptError):
        CompressedFile(tmp_path / "plain.db")
