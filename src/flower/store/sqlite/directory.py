"""The directory of a store: file names, ownership, the lock of the writer, the status file of the recorder, and
quarantined files. Handles files, not tasks."""

import contextlib
import errno
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import apsw

from flower.errors import InvalidStore, StoreError, StoreInUse
from flower.private_files import FILE_MODE, create_directory
from flower.store.sqlite.connection import require_readable_format
from flower.store.sqlite.file_header import read_file_header
from flower.store.sqlite.store_format import APPLICATION_ID

META_DB_FILE: Final = "meta.db"
LEDGER_DB_FILE: Final = "ledger.db"
LOCK_FILE: Final = "writer.lock"
STATUS_FILE: Final = "recorder.status"
COLUMNS_SUFFIX: Final = ".cols"
DAMAGED_DIRECTORY: Final = "damaged"
#: of the reports on damaged files in this directory
REPORT_SUFFIX: Final = ".json"
#: The files of a restore that is not complete.
RESTORE_DIRECTORY: Final = ".restore.new"
STATUS_FILE_SIZE: Final = 4096
#: directories of the drain, the text index and the receiver
_PROCESS_DIRECTORIES: Final = ("drain", "text", "spill")
_INDEX_MARK: Final = "mark.json"
#: process id, host and start time
_LOCK_HOLDER: Final = re.compile(rb"\d+ \S+ \S+\n")
_SIDE_FILES: Final = ("", "-wal", "-shm", "-journal")


class StoreDirectory:
    """Paths of a store, and information that does not require an open database."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.meta_path = self.path / META_DB_FILE
        #: written by web servers, not by the recorder
        self.ledger_path = self.path / LEDGER_DB_FILE

    def segment_path(self, number: int) -> Path:
        return self.path / f"seg-{number:06d}.db"

    def columns_path(self, number: int) -> Path:
        return self.path / f"seg-{number:06d}{COLUMNS_SUFFIX}"

    @property
    def change_signal_path(self) -> Path:
        """The file whose modification time is set after each write of tasks. On Linux other processes watch it with
        inotify."""
        return self.path / STATUS_FILE

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
        """Names of the quarantined files."""
        try:
            names = os.listdir(self.path / DAMAGED_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(
            sorted(name for name in names if name[0] != "." and not name.endswith((*_SIDE_FILES[1:], REPORT_SUFFIX)))
        )

    def free_bytes(self) -> int | None:
        """Free disk space; None if the directory does not exist."""
        try:
            stat = os.statvfs(self.path)
        except OSError:
            return None
        return stat.f_bavail * stat.f_frsize

    def total_bytes(self) -> int:
        """Size of all files."""
        return _directory_bytes(self.path) + self.text_bytes()

    def column_bytes(self, number: int) -> int:
        try:
            return self.columns_path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def text_bytes(self) -> int:
        """Size of the text index."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            blocks = sum(_directory_bytes(block) for block in self.text_path.iterdir() if block.is_dir())
            return blocks + _directory_bytes(self.text_path)
        return 0

    def database_paths(self) -> Iterator[Path]:
        for path in (self.meta_path, self.ledger_path):
            if path.exists():
                yield path
        yield from map(self.segment_path, self.segment_numbers())

    def verify(self) -> bool:
        """Whether the directory contains a store (False: it is empty or does not exist). Raises InvalidStore or
        StoreVersionMismatch. Changes nothing."""
        if not self.path.exists():
            return False
        if not self.path.is_dir():
            raise InvalidStore(f"{self.path} is a file, not a store directory")
        if (self.path / RESTORE_DIRECTORY).exists():
            raise InvalidStore(
                f"{self.path} contains a restore that is not complete", hint="wait for `flower restore`, or repeat it"
            )
        if all(_is_temporary(path.name) or _is_leftover(path) or _is_lock(path) for path in self.path.iterdir()):
            return False
        identities = {path: _read_identity(path) for path in self.database_paths()}
        own_files = [path for path, (application, _) in identities.items() if application == APPLICATION_ID]
        foreign_files = [
            path for path, (application, _) in identities.items() if application not in (APPLICATION_ID, None)
        ]
        if foreign_files or not (own_files or self._has_writer_lock()):
            raise InvalidStore(
                f"{self.path} is not a store: it contains other files ({self._sample_names()})",
                hint="use an empty directory",
            )
        for path in own_files:
            require_readable_format(path, identities[path][1])
        return True

    def _has_writer_lock(self) -> bool:
        return (self.path / STATUS_FILE).is_file() and (self.path / LOCK_FILE).is_file()

    def _sample_names(self) -> str:
        names = sorted(os.listdir(self.path))
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

    def create(self) -> None:
        """Ensure that the directory exists and is writable. Raises StoreError."""
        try:
            create_directory(self.path)
            probe = self.path / f".{os.getpid()}.new"
            probe.touch()
            # another thread may do the same, and a starting writer removes such files
            probe.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return  # a full disk does not prevent the start: writing waits until there is space
            raise StoreError(
                f"{self.path} is not writable: {error.strerror}", hint="check owner, mode and disk"
            ) from error

    def remove_leftovers(self) -> None:
        """Remove incomplete files of a writer that was killed. The ledger is excluded: other processes may be creating
        it."""
        for path in self.path.glob("*.new*"):
            if not path.name.startswith(LEDGER_DB_FILE):
                path.unlink(missing_ok=True)

    def quarantine(self, path: Path, replacement: Path | None = None) -> str:
        """Move a damaged file, with its log, into the quarantine directory, and `replacement` to its place. Return its
        new name."""
        quarantine = self.path / DAMAGED_DIRECTORY
        create_directory(quarantine)
        name = path.name
        if (quarantine / name).exists():
            name = f"{path.stem}-{time.time_ns()}{path.suffix}"
        # The log first: SQLite would apply it to the replacement. The file itself has its name until it is replaced.
        for side in reversed(_SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                if replacement is not None and not side:
                    os.link(path, quarantine / name)
                    replacement.rename(path)
                else:
                    path.with_name(path.name + side).rename(quarantine / (name + side))
        return name

    def remove(self, path: Path) -> None:
        for side in _SIDE_FILES:
            path.with_name(path.name + side).unlink(missing_ok=True)

    def read_status(self) -> dict[str, Any]:
        """The last status of the recorder; {} if there is none or it cannot be read."""
        try:
            status = json.loads((self.path / STATUS_FILE).read_bytes().rstrip(b" \n\0") or b"{}")
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}


def _directory_bytes(directory: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size if entry.is_file() else 0
    return total


def _read_identity(path: Path) -> tuple[int | None, int]:
    """application_id and format version; None if the file is not a database, or was removed meanwhile."""
    try:
        header = read_file_header(path)
        return header.application_id, header.format_number
    except (apsw.NotADBError, apsw.IOError, apsw.CantOpenError):
        return None, 0


class WriterLock:
    """Held while the process runs or until it is released; the file names the holder."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._path = directory.path / LOCK_FILE
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StoreError(f"{self._path} is not writable: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 512, 0).decode(errors="replace").split()
            os.close(self._file)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise StoreError(f"{self._path} cannot be locked: {error.strerror}") from error
            holder_text = "process {} on {} since {}".format(*holder[:3]) if len(holder) >= 3 else "another process"
            raise StoreInUse(
                f"{directory.path} is in use by {holder_text}", hint="stop that process, or use another directory"
            ) from None
        since = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with contextlib.suppress(OSError):  # the lock is also valid on a full disk
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()} {socket.gethostname()} {since}\n".encode(), 0)

    def verify(self) -> None:
        """Raises StoreError if the file was removed or moved: SQLite would write to removed files without an error."""
        if self._path.exists() and os.fstat(self._file).st_nlink:
            return
        raise StoreError(f"{self._path.parent} was removed or moved while it was in use")

    def release(self) -> None:
        os.close(self._file)


class StatusFile:
    """Status of the recorder. Disk space is reserved once, then the file is overwritten in place, so that the status
    can be written on a full disk."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._file = os.open(directory.path / STATUS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        if os.fstat(self._file).st_size < STATUS_FILE_SIZE:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, b"{}".ljust(STATUS_FILE_SIZE), 0)

    def write(self, status: Mapping[str, Any]) -> None:
        content = json.dumps(status, default=str).encode()
        if len(content) > STATUS_FILE_SIZE:
            # keep the shortest values that fit: a part is better than invalid JSON
            fitting: dict[str, Any] = {}
            for key in sorted(status, key=lambda key: len(json.dumps(status[key], default=str))):
                if len(json.dumps({**fitting, key: status[key]}, default=str).encode()) > STATUS_FILE_SIZE:
                    break
                fitting[key] = status[key]
            content = json.dumps(fitting, default=str).encode()
        with contextlib.suppress(OSError):  # a failure must not stop the recorder
            os.pwrite(self._file, content.ljust(STATUS_FILE_SIZE), 0)

    def signal_change(self) -> None:
        """Set the modification time: see `StoreDirectory.change_signal_path`."""
        with contextlib.suppress(OSError):  # readers then notice the change when they poll
            os.utime(self._file)

    def close(self) -> None:
        os.close(self._file)


def _is_temporary(name: str) -> bool:
    """Whether this is a file that another process is creating."""
    return name.startswith((f"{META_DB_FILE}.", f"{LEDGER_DB_FILE}.")) or (name[0] == "." and name.endswith(".new"))


def _is_lock(path: Path) -> bool:
    """Whether this is the lock of a writer, which exists before the other files of a new store."""
    if path.name != LOCK_FILE:
        return False
    try:
        holder = path.read_bytes()
    except OSError:
        return False
    # empty until the holder has written its name
    return not holder or _LOCK_HOLDER.fullmatch(holder) is not None


def _is_leftover(path: Path) -> bool:
    """Whether this is a directory that a process of a removed store created again."""
    return (
        path.name in _PROCESS_DIRECTORIES
        and path.is_dir()
        and all(child.is_socket() or child.name == _INDEX_MARK for child in path.iterdir())
    )
