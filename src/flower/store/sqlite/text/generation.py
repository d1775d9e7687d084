"""Generation of the text index, and the number of its next block.

A row stores the number of the block that contains its text. If a number were reused for other content, searches would
miss these rows. So numbers only increase, and the highest one is written to disk before its block is created. The
numbers belong to a generation, a random name given when the index is created. Block numbers are stored together with
the generation, and are invalid in another one.

The generation also changes when

- the file was copied: it contains its own inode. Blocks that were copied while they were written may lack texts that
  the rows, copied later, reference;
- texts were normalized by other rules: another format of Bellflower, or another Unicode version than this Python's.
"""

import contextlib
import json
import os
import random
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flower.private_files import create_directory, open_file
from flower.store.sqlite.store_format import TEXT_INDEX_FORMAT

GENERATION_FILE: Final = "mark.json"
REMOVED_SUFFIX: Final = ".gone"
#: Rows store the number in 16 bits; 0: no block.
MAX_BLOCK_NUMBER: Final = 65_534
#: The first number of a generation is random, so that numbers of two generations rarely match by accident.
_MAX_FIRST_NUMBER: Final = 32_768


def _folding_rules() -> str:
    import unicodedata  # noqa: PLC0415 - takes a megabyte, and only this constant is needed

    return f"{TEXT_INDEX_FORMAT}/{unicodedata.unidata_version}"


@dataclass(frozen=True, slots=True)
class IndexGeneration:
    name: str
    #: the highest number given to a block so far
    last_block: int

    @property
    def is_exhausted(self) -> bool:
        return self.last_block >= MAX_BLOCK_NUMBER

    def with_next_block(self) -> "IndexGeneration":
        return replace(self, last_block=self.last_block + 1)


def read_generation(directory: Path) -> IndexGeneration | None:
    """Return the generation of the directory; None if it is missing or invalid. Raises OSError if it is unreadable."""
    try:
        with (directory / GENERATION_FILE).open("rb") as file:
            inode, data = os.fstat(file.fileno()).st_ino, file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = json.loads(data)
        generation = IndexGeneration(str(content["generation"]), int(content["last"]))
        return generation if (content["inode"], content["rules"]) == (inode, _folding_rules()) else None
    except (ValueError, KeyError, TypeError):
        return None


def write_generation(directory: Path, generation: IndexGeneration) -> None:
    """Write the generation durably. Raises OSError."""
    new = directory / f"{GENERATION_FILE}.new"
    with open_file(new, "wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        content = {
            "generation": generation.name,
            "last": generation.last_block,
            "inode": inode,
            "rules": _folding_rules(),
        }
        file.write(json.dumps(content).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(directory / GENERATION_FILE)
    _fsync_directory(directory)


def create_generation(directory: Path) -> IndexGeneration:
    """Create a new generation without blocks.

    The old file is removed first: after a crash the directory has no generation. Raises OSError.
    """
    create_directory(directory)
    (directory / GENERATION_FILE).unlink(missing_ok=True)
    _fsync_directory(directory)
    for path in directory.iterdir():
        remove_tree(path)
    generation = IndexGeneration(uuid.uuid4().hex, random.randrange(_MAX_FIRST_NUMBER))  # noqa: S311 - not a secret
    write_generation(directory, generation)
    return generation


def block_path(directory: Path, number: int) -> Path:
    return directory / f"{number:06d}"


def list_block_numbers(directory: Path) -> list[int]:
    """Return the block numbers, ascending. Raises OSError."""
    try:
        return sorted(int(name) for name in os.listdir(directory) if len(name) == 6 and name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_tree(path: Path) -> None:
    """Remove a block: renaming removes it at once, then its files are deleted.

    Files that remain are deleted when the index is opened next.
    """
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    renamed = path if path.name.endswith(REMOVED_SUFFIX) else path.with_name(path.name + REMOVED_SUFFIX)
    with contextlib.suppress(OSError):
        path.rename(renamed)
    shutil.rmtree(renamed, ignore_errors=True)


def _fsync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
