"""Copies of a store, made while it is in use, and the way back. docs/upgrade.md describes the use.

A backup is a directory that contains the files of the store as of one moment (`snapshot`) and a manifest with their
checksums, which is written last: a directory without it is an incomplete backup. The text index is not copied, because
it is built from the rows; a column file is copied if it is of the same moment, else it is built again.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw
import msgspec

from flower.errors import InvalidRequest, InvalidStore, StoreError
from flower.private_files import create_directory, create_file, open_file
from flower.records import Gap
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.column_file import ColumnFileInvalid, read_synced_copy
from flower.store.sqlite.connection import (
    CLOSED_CACHE_KB,
    CLOSED_CHECKPOINT,
    execute_statements,
    fetch_rows,
    open_for_writing,
    require_readable_format,
    translate_disk_full,
)
from flower.store.sqlite.directory import LOCK_FILE, META_DB_FILE, RESTORE_DIRECTORY, StoreDirectory, WriterLock
from flower.store.sqlite.file_header import read_file_header
from flower.store.sqlite.meta_db import read_segments
from flower.store.sqlite.migration import add_gap_columns
from flower.store.sqlite.schema import INSERT_GAP
from flower.store.sqlite.snapshot import READ_ERRORS, Snapshot, open_snapshot
from flower.store.sqlite.store_format import STORE_FORMAT

MANIFEST_FILE: Final = "backup.json"
_CHUNK_BYTES: Final = 1 << 20
#: Pages that SQLite copies in one step: a megabyte.
_CHUNK_PAGES: Final = 256
#: Format of the manifest.
_MANIFEST_FORMAT: Final = 1

#: Receives the number of bytes done and of all bytes.
Progress = Callable[[int, int], None]


class BackupFile(msgspec.Struct, frozen=True):
    """A file of a backup."""

    name: str
    size: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a backup. `created_at`: the moment of which it is, epoch seconds. `sequence`: the last write that
    it contains. `omitted`: damaged files that it does not contain, and why."""

    manifest_format: int = _MANIFEST_FORMAT
    store_format: int
    #: of Bellflower
    version: str
    created_at: float
    sequence: int
    tasks: int
    files: tuple[BackupFile, ...]
    omitted: dict[str, str] = {}

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def create_backup(source: Path, target: Path, *, version: str, report: Progress) -> BackupManifest:
    """Copy the store into a directory that does not exist yet or is empty. Raises InvalidRequest if it is not, and
    StoreError."""
    directory = StoreDirectory(source)
    if not directory.verify():
        raise StoreError(f"No data in {source}", hint="set --db to the data directory")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(
            f"{target} exists and is not empty",
            hint="remove it: it is an incomplete backup"
            if _is_incomplete(target)
            else "backups are not overwritten; name a new directory",
        )
    with translate_disk_full(target), _remove_on_error(target):
        create_directory(target)
        with open_snapshot(directory) as snapshot:
            return _copy_snapshot(snapshot, target, version, report)


def _is_incomplete(target: Path) -> bool:
    return target.is_dir() and not (target / MANIFEST_FILE).exists() and any(target.glob("*.db"))


@contextmanager
def _remove_on_error(target: Path) -> Iterator[None]:
    existed = target.exists()
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in list(target.iterdir()) if existed else ():
                path.unlink()
            if not existed:
                shutil.rmtree(target, ignore_errors=True)
        raise


def _copy_snapshot(snapshot: Snapshot, target: Path, version: str, report: Progress) -> BackupManifest:
    created_at = time.time()
    copier = _Copier(target, _estimate_bytes(snapshot), report)
    # files that change first: what their transactions read must stay in their write-ahead logs until they are copied
    for name, connection in ((META_DB_FILE, snapshot.meta), (snapshot.directory.ledger_path.name, snapshot.ledger)):
        if connection is not None:
            copier.copy_database(connection, name)
            connection.close()
    snapshot.meta = snapshot.ledger = None
    for number in sorted(snapshot.segments, reverse=True):
        info = snapshot.infos.get(number)
        if info is not None:
            copier.copy_database(snapshot.segments[number], snapshot.directory.segment_path(number).name)
            copier.copy_columns(snapshot.directory.columns_path(number), info)
        snapshot.end_segment(number)
    manifest = BackupManifest(
        store_format=STORE_FORMAT,
        version=version,
        created_at=created_at,
        sequence=snapshot.sequence,
        tasks=sum(info.rows for info in snapshot.infos.values()),
        files=tuple(copier.files),
        omitted=snapshot.damaged,
    )
    _write_synced(target / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    _sync_directory(target)
    return manifest


def _estimate_bytes(snapshot: Snapshot) -> int:
    directory = snapshot.directory
    paths = [directory.meta_path, directory.ledger_path]
    for number in snapshot.infos:
        paths += [directory.segment_path(number), directory.columns_path(number)]
    return sum(map(_plain_bytes, paths))


def _plain_bytes(path: Path) -> int:
    """Size of the file in the backup, where segments are not compressed."""
    try:
        header = read_file_header(path)
        return header.pages * header.page_size if header.is_compressed else path.stat().st_size
    except (apsw.Error, OSError):
        return path.stat().st_size if path.exists() else 0


class _Copier:
    """Copies files into the backup, one after the other."""

    def __init__(self, target: Path, total: int, report: Progress) -> None:
        self.files: list[BackupFile] = []
        self._target = target
        self._total = total
        self._done = 0
        self._report = report

    def copy_database(self, connection: apsw.Connection, name: str) -> None:
        """Copy the state that the transaction of this connection reads."""
        path = self._target / name
        create_file(path)
        copy = apsw.Connection(str(path))
        try:
            # the copy is useless until it is complete, and is then synced
            execute_statements(copy, "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF")
            with copy.backup("main", connection, "main") as job:
                page_size = int(fetch_rows(connection, "PRAGMA page_size")[0][0])
                while not job.done:
                    job.step(_CHUNK_PAGES)
                    self._report(self._done + (job.page_count - job.remaining) * page_size, self._total)
        finally:
            copy.close()
        self._add(path)

    def copy_columns(self, path: Path, info: SegmentInfo) -> None:
        """Copy the column file if it is of the same moment as the rows."""
        try:
            content = read_synced_copy(path, info.first, info.capacity, info.sequence)
        except ColumnFileInvalid:
            return
        _write_synced(self._target / path.name, content)
        self._add(self._target / path.name)

    def _add(self, path: Path) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        self.files.append(BackupFile(path.name, size, digest))
        self._done += size
        self._report(self._done, max(self._total, self._done))


def read_manifest(source: Path) -> BackupManifest:
    """Raises InvalidStore, StoreVersionMismatch."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST_FILE).read_bytes(), type=BackupManifest)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidStore(
            f"{source} is not a complete backup: it contains no {MANIFEST_FILE}",
            hint="use a directory that `flower backup` created, or set --db to a copied store",
        ) from None
    except msgspec.MsgspecError as error:
        raise InvalidStore(f"{source / MANIFEST_FILE} is damaged: {error}") from error
    require_readable_format(source, manifest.store_format)
    for file in manifest.files:
        if Path(file.name).name != file.name:
            raise InvalidStore(f"{source / MANIFEST_FILE} is damaged: it names the file {file.name}")
    return manifest


def restore_backup(source: Path, target: Path, *, new_identity: bool, report: Progress) -> BackupManifest:
    """Create a store from a backup, in a directory that does not exist yet or is empty. Every file is compared with its
    checksum before the store appears. `new_identity`: see `_finish_meta`. Raises InvalidRequest, InvalidStore,
    StoreInUse, StoreVersionMismatch, StoreError."""
    manifest = read_manifest(source)
    directory = StoreDirectory(target)
    _require_free_target(target, manifest)
    with translate_disk_full(target):
        directory.create()
        lock = WriterLock(directory)
        staging = target / RESTORE_DIRECTORY
        try:
            shutil.rmtree(staging, ignore_errors=True)
            create_directory(staging)
            _copy_verified(source, staging, manifest, report)
            _finish_meta(staging / META_DB_FILE, manifest, new_identity=new_identity)
            for file in sorted(staging.iterdir(), key=lambda path: path.name == META_DB_FILE):
                file.rename(target / file.name)
            staging.rmdir()
            _sync_directory(target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            (target / LOCK_FILE).unlink(missing_ok=True)
            raise
        finally:
            lock.release()
    return manifest


def _require_free_target(target: Path, manifest: BackupManifest) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InvalidRequest(f"{target} is a file", hint="name a new directory with --db")
    names = {path.name for path in target.iterdir()} - {LOCK_FILE, RESTORE_DIRECTORY}
    if (target / RESTORE_DIRECTORY).exists():  # an interrupted restore had begun to move its files
        names -= {file.name for file in manifest.files}
    if names:
        directory = StoreDirectory(target)
        if (target / LOCK_FILE).exists():
            WriterLock(directory).release()  # names the process that uses the store, if there is one
        raise InvalidRequest(
            f"{target} is not empty ({', '.join(sorted(names)[:3])})",
            hint="restore into a new directory with --db, or move this one away",
        )


def _copy_verified(source: Path, staging: Path, manifest: BackupManifest, report: Progress) -> None:
    done = 0
    for file in manifest.files:
        digest, size = hashlib.sha256(), 0
        try:
            with (source / file.name).open("rb") as original, open_file(staging / file.name, "xb") as copy:
                while chunk := original.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
                    size += len(chunk)
                    report(done + size, manifest.size)
                copy.flush()
                os.fsync(copy.fileno())
        except FileNotFoundError:
            raise InvalidStore(f"{source / file.name} is missing", hint="use another backup") from None
        if digest.hexdigest() != file.sha256:
            raise InvalidStore(f"{source / file.name} differs from its checksum", hint="use another backup")
        done += size


def _finish_meta(path: Path, manifest: BackupManifest, *, new_identity: bool) -> None:
    """Record the time since the backup as a gap, because its events are missing, and delete how far the recorder had
    read: a broker or drain that still has events continues with the oldest one.

    The identity of a store is part of the name of its queue. A restored store continues with the queue of the original,
    so two stores with one identity would each get a part of the events.
    """
    if not path.exists():
        return
    try:
        meta = open_for_writing(path, cache_kb=CLOSED_CACHE_KB, checkpoint=CLOSED_CHECKPOINT)
    except READ_ERRORS as error:
        raise InvalidStore(f"{META_DB_FILE} of the backup is damaged: {error}", hint="use another backup") from error
    try:
        read_segments(meta)
        add_gap_columns(meta)
        gap = Gap(manifest.created_at, time.time(), "the store was restored from a backup", "recorder_stopped")
        keys = "('capture_progress', 'identity')" if new_identity else "('capture_progress')"
        with meta:
            meta.execute(INSERT_GAP, (gap.id, gap.start, gap.end, gap.reason, gap.cause, gap.worker))
            meta.execute(f"DELETE FROM info WHERE key IN {keys}")
    finally:
        meta.close()


def _write_synced(path: Path, content: bytes) -> None:
    with open_file(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
