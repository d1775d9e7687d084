"""Checks of the data directory: format, mode, write access, free space."""

import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from flower.api.health.messages import describe_bytes
from flower.api.health.rules import DISK_CRITICAL_BYTES, DISK_WARNING_BYTES
from flower.config import DEFAULT_CONFIG
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome, Skipped

_TIME_LIMIT = 10.0


def check_store(examination: Examination) -> Iterable[Outcome]:
    """Whether the store can be read: its format, and files that were found damaged."""
    path = _data_directory(examination)
    if not path.exists():
        return [Outcome("ok", f"{path} does not exist yet; the server creates it")]
    from flower.store.factory import open_reader  # noqa: PLC0415 - slow to import

    with closing(open_reader(path, time_limit=_TIME_LIMIT)) as reader:
        status = reader.status()
    if status.damaged:
        return [Outcome("error", f"Damaged files: {', '.join(status.damaged)}", "Run: flower check")]
    return [Outcome("ok", f"{path}: {status.tasks:,} tasks, {describe_bytes(status.size_bytes)}, format readable")]


def check_disk(examination: Examination) -> Iterable[Outcome]:
    """Whether the directory can be written, who may read it, and the free space."""
    path = _data_directory(examination)
    return [*_check_access(path, is_default=examination.config.db == DEFAULT_CONFIG.db), *_check_space(path)]


def _check_access(path: Path, *, is_default: bool) -> Iterator[Outcome]:
    if path.exists() and not path.is_dir():
        raise Skipped(f"{path} is a file")
    existing = _existing_parent(path)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        found = f"{existing} cannot be written: {error.strerror}"
        if is_default and not path.exists():
            action = "Set --db to a directory on a volume. Without it, the server stores data of this run only."
            yield Outcome("warning", found, action)
        else:
            yield Outcome("error", found, "Check owner and mode of the directory, and whether the disk is mounted rw.")
    if existing == path and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        found = f"{path} has mode {mode:04o}: other users of this host can read arguments and results"
        yield Outcome("warning", found, f"Run: chmod 700 {path}")


def _check_space(path: Path) -> Iterator[Outcome]:
    free = shutil.disk_usage(_existing_parent(path)).free
    text = f"{describe_bytes(free)} free"
    if free < DISK_WARNING_BYTES:
        action = "Free space, or set --max-size or --max-age. Recording pauses when the disk is full."
        yield Outcome("error" if free < DISK_CRITICAL_BYTES else "warning", text, action)
    else:
        yield Outcome("ok", text)


def _existing_parent(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _data_directory(examination: Examination) -> Path:
    return (examination.folder / Path(examination.config.db).expanduser()).absolute()
