"""The directory of a store: the names in it, whose it is, the writer's lock, the recorder's note, and
what was set aside. Knows files, not tasks."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import apsw

from flower.errors import InvalidStore, StoreError, StoreInUse, StoreVersionMismatch
from flower.store.sqlite.connection import read_file_identity
from flower.store.sqlite.schema import APPLICATION_ID, FORMAT_VERSION

log = logging.getLogger(__name__)

META_DB_FILE: Final = "meta.db"
LEDGER_DB_FILE: Final = "ledger.db"
LOCK_FILE: Final = "writer.lock"
STATUS_FILE: Final = "recorder.status"
DAMAGED_DIRECTORY: Final = "damaged"
STATUS_FILE_SIZE: Final = 4096
_SIDE_FILES: Final = ("", "-wal", "-shm", "-journal")


class StoreDirectory:
    """Paths of a store and what can be seen without opening a database for good."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.meta_path = self.path / META_DB_FILE
        #: what people did; written by web servers, not by the recorder
        self.ledger_path = self.path / LEDGER_DB_FILE

    def segment_path(self, number: int) -> Path:
        return self.path / f"seg-{number:06d}.db"

    def columns_path(self, number: int) -> Path:
        return self.path / f"seg-{number:06d}.cols"

    @property
    def text_path(self) -> Path:
        return self.path / "text"

    def segment_numbers(self) -> list[int]:
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted(int(n[4:-3]) for n in names if n.startswith("seg-") and n.endswith(".db") and n[4:-3].isdigit())

    def quarantined_files(self) -> tuple[str, ...]:
        """The names of the files that were set aside."""
        try:
            names = os.listdir(self.path / DAMAGED_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(name for name in names if not name.endswith(_SIDE_FILES[1:])))

    def free_bytes(self) -> int | None:
        """Bytes that may still be written here; None if the folder is not there."""
        try:
            found = os.statvfs(self.path)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def total_bytes(self) -> int:
        return _directory_bytes(self.path) + self.text_bytes()

    def column_bytes(self, number: int) -> int:
        try:
            return self.columns_path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def text_bytes(self) -> int:
        """What the text index takes."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sum(_directory_bytes(block) for block in self.text_path.iterdir() if block.is_dir())
        return 0

    def database_paths(self) -> Iterator[Path]:
        for path in (self.meta_path, self.ledger_path):
            if path.exists():
                yield path
        yield from map(self.segment_path, self.segment_numbers())

    def verify(self) -> bool:
        """Whether a store is here (False: nothing is). Raises NotAStore or WrongVersion, and touches nothing."""
        if not self.path.exists():
            return False
        if not self.path.is_dir():
            raise InvalidStore(f"{self.path} is a file, not a store directory")
        if all(_is_temporary(path.name) for path in self.path.iterdir()):
            return False
        marks = {path: _read_identity(path) for path in self.database_paths()}
        ours = [path for path, (application, _) in marks.items() if application == APPLICATION_ID]
        foreign = [path for path, (application, _) in marks.items() if application not in (APPLICATION_ID, None)]
        if foreign or not (ours or self._has_writer_lock()):
            raise InvalidStore(
                f"{self.path} holds something else ({self._sample_database()})", hint="name an empty directory"
            )
        for path in ours:
            version = marks[path][1]
            if version != FORMAT_VERSION:
                age = "a newer" if version > FORMAT_VERSION else "an older"
                raise StoreVersionMismatch(
                    f"{path} was written by {age} version of this program (format {version}; this one reads"
                    f" {FORMAT_VERSION})",
                    hint="use that version, or name another directory",
                )
        return True

    def _has_writer_lock(self) -> bool:
        return (self.path / STATUS_FILE).is_file() and (self.path / LOCK_FILE).is_file()

    def _sample_database(self) -> str:
        names = sorted(os.listdir(self.path))
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

    def create(self) -> None:
        """Make sure that the directory is there and can be written. Raises StoreError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".{os.getpid()}.new"
            probe.touch()
            # another thread of ours may have asked the same, and a writer that starts clears such files away
            probe.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return  # a full disk is no reason not to start: writing waits until there is room
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror}", hint="check its owner, its mode and the disk"
            ) from error

    def remove_leftovers(self) -> None:
        """What a writer that was killed while making a file has left. The ledger is made by others, now perhaps."""
        for path in self.path.glob("*.new*"):
            if not path.name.startswith(LEDGER_DB_FILE):
                path.unlink(missing_ok=True)

    def quarantine(self, path: Path, reason: object) -> str:
        """Move a damaged file, with its log, out of the way; gives its new name."""
        away = self.path / DAMAGED_DIRECTORY
        away.mkdir(exist_ok=True)
        name = path.name
        if (away / name).exists():
            name = f"{path.stem}-{time.time_ns()}{path.suffix}"
        for side in _SIDE_FILES:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + side).rename(away / (name + side))
        log.error("Damaged file of the store set aside: %s → %s (%s). The rest goes on.", path, away / name, reason)
        return name

    def remove(self, path: Path) -> None:
        for side in _SIDE_FILES:
            path.with_name(path.name + side).unlink(missing_ok=True)

    def read_status(self) -> dict[str, Any]:
        """What the recorder said last; {} if nothing can be read."""
        try:
            told = json.loads((self.path / STATUS_FILE).read_bytes().rstrip(b" \n\0") or b"{}")
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def _directory_bytes(folder: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size if entry.is_file() else 0
    return total


def _read_identity(path: Path) -> tuple[int | None, int]:
    """application_id and format; None if the file is no database (any more)."""
    try:
        # SQLite takes an empty file for a new database; here it is one that lost everything
        return read_file_identity(path) if path.stat().st_size else (None, 0)
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.CantOpenError):
        return None, 0


class WriterLock:
    """Held as long as the process lives or until it is released; says who holds it."""

    def __init__(self, folder: StoreDirectory) -> None:
        self._path = folder.path / LOCK_FILE
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 512, 0).decode(errors="replace").split()
            os.close(self._file)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise StoreError(f"{self._path} cannot be locked: {error.strerror}") from error
            who = "process {} on {}, since {}".format(*holder[:3]) if len(holder) >= 3 else "another process"
            raise StoreInUse(
                f"{folder.path} is being written by {who}", hint="stop it, or name another directory"
            ) from None
        since = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()} {socket.gethostname()} {since}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


class StatusFile:
    """The recorder's note: room for it is taken once, then it is overwritten in place, so that it can say
    "the disk is full" on a full disk."""

    def __init__(self, folder: StoreDirectory) -> None:
        self._file = os.open(folder.path / STATUS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if os.fstat(self._file).st_size < STATUS_FILE_SIZE:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, b"{}".ljust(STATUS_FILE_SIZE), 0)

    def write(self, status: Mapping[str, Any]) -> None:
        content = json.dumps(status, default=str).encode()
        if len(content) > STATUS_FILE_SIZE:
            # keep what fits, shortest first: better a part than nothing that parses
            kept: dict[str, Any] = {}
            for key in sorted(status, key=lambda key: len(json.dumps(status[key], default=str))):
                if len(json.dumps({**kept, key: status[key]}, default=str).encode()) > STATUS_FILE_SIZE:
                    break
                kept[key] = status[key]
            content = json.dumps(kept, default=str).encode()
        with contextlib.suppress(OSError):  # never the reason why the recorder stops
            os.pwrite(self._file, content.ljust(STATUS_FILE_SIZE), 0)

    def close(self) -> None:
        os.close(self._file)


def _is_temporary(name: str) -> bool:
    """What lies in a folder while somebody else makes a store or a ledger in it."""
    return name.startswith((f"{META_DB_FILE}.", f"{LEDGER_DB_FILE}.")) or (name[0] == "." and name.endswith(".new"))
