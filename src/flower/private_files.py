"""Creation of files and directories that only their owner may read.

The store contains arguments and results of tasks. An existing file or directory keeps its mode, because an operator may
have chosen it.
"""

import os
from pathlib import Path
from typing import IO, Any, Final

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def create_directory(path: Path) -> None:
    """Create the directory unless it exists. Parents that do not exist are created with the usual mode."""
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def create_file(path: Path) -> None:
    """Create an empty file, for a library that opens it by name and sets no mode. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE))


def open_file(path: Path, mode: str) -> IO[Any]:
    """`open`, but a new file is readable by its owner only."""
    return open(path, mode, opener=_open_descriptor)


def write_text(path: Path, text: str) -> None:
    with open_file(path, "w") as file:
        file.write(text)


def restrict_new_files() -> None:
    """All files that this process creates from now on are readable by the owner only: for processes in which a library
    creates files and that write no log file."""
    os.umask(0o777 & ~DIRECTORY_MODE)


def _open_descriptor(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)
