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

MARK: Final = "mark.json"
GONE: Final = ".gone"
#: Rows keep the number in 16 bits; 0 stands for none.
HIGHEST_NUMBER: Final = 65_534
#: Where a generation begins, at random: should someone compare numbers of two generations all the same, they
#: hardly meet.
_BEGIN_BELOW: Final = 32_768
_FORMAT: Final = 1


def _rules() -> str:
    import unicodedata  # noqa: PLC0415 - a megabyte, and only this one constant is wanted

    return f"{_FORMAT}/{unicodedata.unidata_version}"


@dataclass(frozen=True, slots=True)
class Mark:
    generation: str
    last: int  # the highest number ever given to a block

    @property
    def used_up(self) -> bool:
        return self.last >= HIGHEST_NUMBER

    def next(self) -> "Mark":
        return replace(self, last=self.last + 1)


def read_mark(folder: Path) -> Mark | None:
    """None if there is none that holds for this folder. Raises OSError if that cannot be seen."""
    try:
        with (folder / MARK).open("rb") as file:
            inode, content = os.fstat(file.fileno()).st_ino, file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        told = json.loads(content)
        mark = Mark(str(told["generation"]), int(told["last"]))
        return mark if (told["inode"], told["rules"]) == (inode, _rules()) else None
    except (ValueError, KeyError, TypeError):
        return None


def write_mark(folder: Path, mark: Mark) -> None:
    """Durable when it returns. Raises OSError."""
    new = folder / f"{MARK}.new"
    with new.open("wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        told = {"generation": mark.generation, "last": mark.last, "inode": inode, "rules": _rules()}
        file.write(json.dumps(told).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / MARK)
    _sync(folder)


def begin(folder: Path) -> Mark:
    """A new generation, without blocks. The mark goes first: what a killed process leaves has none. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).unlink(missing_ok=True)
    _sync(folder)
    for path in folder.iterdir():
        remove_tree(path)
    mark = Mark(uuid.uuid4().hex, random.randrange(_BEGIN_BELOW))  # noqa: S311 - no secret
    write_mark(folder, mark)
    return mark


def block_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}"


def block_numbers(folder: Path) -> list[int]:
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
    away = path if path.name.endswith(GONE) else path.with_name(path.name + GONE)
    with contextlib.suppress(OSError):
        path.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
