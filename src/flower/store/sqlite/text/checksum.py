"""Whether the files of a block are whole. tantivy ends every file with a checksum of it, but does not compare
it when it opens one: a posting list with other bytes in it would be read, and rows be missed."""

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Final

_REQUIRED_SUFFIXES: Final = frozenset({"idx", "term", "fast"})
_READ_SIZE: Final = 1 << 20
_MAGIC: Final = 1337
_TAIL: Final = struct.Struct("<II")  # bytes of the footer's JSON, magic number
_MAX_FOOTER_BYTES: Final = 50_000


def find_damage(block: Path) -> str | None:
    """What is wrong with a block; None if nothing is. Reads all of it, about 100 MB. Raises OSError."""
    for _ in range(5):
        try:
            content = (block / "meta.json").read_bytes()
        except FileNotFoundError:
            return "meta.json is missing"
        found = _find_first_damage(block, content)
        if found is None or (block / "meta.json").read_bytes() == content:
            return found
    return None  # it is being written: files come and go, which nobody damages


def _find_first_damage(block: Path, meta: bytes) -> str | None:
    try:
        segments = [str(segment["segment_id"]).replace("-", "") for segment in json.loads(meta)["segments"]]
    except (ValueError, KeyError, TypeError):
        return "meta.json cannot be read"
    names = os.listdir(block)
    for segment in segments:
        files = [name for name in names if name.startswith(segment + ".")]
        missing = _REQUIRED_SUFFIXES - {name.rsplit(".", 1)[1] for name in files}
        if missing:
            return f"{segment}.{min(missing)} is missing"
        for name in files:
            if not _is_intact(block / name):
                return f"{name} has other bytes than were written"
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
            told = json.loads(os.pread(file.fileno(), length, body))["crc"]
            checksum = 0
            while body > 0 and (piece := file.read(min(_READ_SIZE, body))):
                checksum = zlib.crc32(piece, checksum)
                body -= len(piece)
            return body == 0 and checksum == int(told)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
