"""Verifies the files of a block.

tantivy ends every file with a checksum but does not verify it when it opens the file: with a corrupt posting list, rows
would be missed.
"""

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Final

_REQUIRED_SUFFIXES: Final = frozenset({"idx", "term", "fast"})
_READ_SIZE: Final = 1 << 20
_MAGIC: Final = 1337
_TAIL: Final = struct.Struct("<II")  # length of the footer's JSON, magic number
_MAX_FOOTER_BYTES: Final = 50_000


def find_damage(block: Path) -> str | None:
    """Return a description of the damage; None if the block is intact.

    Reads all of the block, about 100 MB. Raises OSError.
    """
    for _ in range(5):
        try:
            content = (block / "meta.json").read_bytes()
        except FileNotFoundError:
            return "meta.json is missing"
        damage = _find_first_damage(block, content)
        if damage is None or (block / "meta.json").read_bytes() == content:
            return damage
    return None  # the block is being written: its files change, but are not damaged


def _find_first_damage(block: Path, meta: bytes) -> str | None:
    try:
        segments = [str(segment["segment_id"]).replace("-", "") for segment in json.loads(meta)["segments"]]
    except (ValueError, KeyError, TypeError):
        return "meta.json is invalid"
    names = os.listdir(block)
    for segment in segments:
        files = [name for name in names if name.startswith(segment + ".")]
        missing = _REQUIRED_SUFFIXES - {name.rsplit(".", 1)[1] for name in files}
        if missing:
            return f"{segment}.{min(missing)} is missing"
        for name in files:
            if not _is_intact(block / name):
                return f"{name} has a wrong checksum"
    return None


def _is_intact(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            tail = os.pread(file.fileno(), _TAIL.size, max(0, size - _TAIL.size))
            if len(tail) < _TAIL.size:
                return False
            length, magic = _TAIL.unpack(tail)
            body = size - _TAIL.size - length
            if magic != _MAGIC or length > _MAX_FOOTER_BYTES or body < 0:
                return False
            stored_checksum = json.loads(os.pread(file.fileno(), length, body))["crc"]
            checksum = 0
            while body > 0 and (chunk := file.read(min(_READ_SIZE, body))):
                checksum = zlib.crc32(chunk, checksum)
                body -= len(chunk)
            return body == 0 and checksum == int(stored_checksum)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
