"""Which index this is, and which number its next block gets.

Rows remember the number of the block that holds their text. If a number came again with other content, those
rows would be hidden. So numbers only ever rise, and the highest one is written down before its block is made.
The numbers belong to a generation, a random name given when the index is begun. Who keeps numbers of blocks
keeps the generation with them, and forgets all numbers when it is another.

An index is of another generation, too, when

- the mark was copied: it names its own inode. Blocks that were copied while they were being written may lack
  what the rows, copied later, say is in them;
- texts were folded by other rules: by another format of ours, or by another version of Unicode than this Python's."""

import contextlib
import json
import os
import random
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

GENERATION_FILE: Final = "mark.json"
REMOVED_SUFFIX: Final = ".gone"
#: Rows keep the number in 16 bits; 0 stands for none.
MAX_BLOCK_NUMBER: Final = 65_534
#: Where a generation begins, at random: should someone compare numbers of two generations all the same, they
#: hardly meet.
_MAX_FIRST_NUMBER: Final = 32_768
_FORMAT: Final = 1


def _folding_rules() -> str:
    import unicodedata  # noqa: PLC0415 - a megabyte, and only this one constant is wanted

    return f"{_FORMAT}/{unicodedata.unidata_version}"


@dataclass(frozen=True, slots=True)
class IndexGeneration:
    name: str
    last_block: int  # the highest number ever given to a block

    @property
    def is_exhausted(self) -> bool:
        return self.last_block >= MAX_BLOCK_NUMBER

    def with_next_block(self) -> "IndexGeneration":
        return replace(self, last_block=self.last_block + 1)


def read_generation(folder: Path) -> IndexGeneration | None:
    """None if there is none that holds for this folder. Raises OSError if that cannot be seen."""
    try:
        with (folder / GENERATION_FILE).open("rb") as file:
            inode, content = os.fstat(file.fileno()).st_ino, file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        told = json.loads(content)
        mark = IndexGeneration(str(told["generation"]), int(told["last"]))
        return mark if (told["inode"], told["rules"]) == (inode, _folding_rules()) else None
    except (ValueError, KeyError, TypeError):
        return None


def write_generation(folder: Path, mark: IndexGeneration) -> None:
    """Durable when it returns. Raises OSError."""
    new = folder / f"{GENERATION_FILE}.new"
    with new.open("wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        told = {"generation": mark.name, "last": mark.last_block, "inode": inode, "rules": _folding_rules()}
        file.write(json.dumps(told).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / GENERATION_FILE)
    _fsync_directory(folder)


def create_generation(folder: Path) -> IndexGeneration:
    """A new generation, without blocks. The mark goes first: what a killed process leaves has none. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GENERATION_FILE).unlink(missing_ok=True)
    _fsync_directory(folder)
    for path in folder.iterdir():
        remove_tree(path)
    mark = IndexGeneration(uuid.uuid4().hex, random.randrange(_MAX_FIRST_NUMBER))  # noqa: S311 - no secret
    write_generation(folder, mark)
    return mark


def block_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}"


def list_block_numbers(folder: Path) -> list[int]:
    """Raises OSError."""
    try:
        return sorted(int(name) for name in os.listdir(folder) if len(name) == 6 and name.isdecimal())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_tree(path: Path) -> None:
    """A block is gone at once, its files a moment later, if need be when the index is opened next."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    away = path if path.name.endswith(REMOVED_SUFFIX) else path.with_name(path.name + REMOVED_SUFFIX)
    with contextlib.suppress(OSError):
        path.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def _fsync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
