"""A store in a temporary directory, if no data directory was named and the working directory cannot be written.

Flower needs no file and starts there: a container with a read-only file system, or a daemon whose working directory is
`/`.
"""

import dataclasses
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flower.config import DEFAULT_CONFIG, Config
from flower.errors import StoreError, StoreFull
from flower.option_types import Bytes, Seconds
from flower.private_files import create_directory

log = logging.getLogger(__name__)

#: Directories that may be writable where the usual temporary directories are not: the shared memory of a container.
_MORE_DIRECTORIES = ("/dev/shm",)  # noqa: S108 - the directory in it is private
#: Part of the free space that the store may use: the directory is often a small file system in memory.
_MAX_PART = 0.5


@contextmanager
def with_writable_store(config: Config) -> Iterator[Config]:
    """The configuration, with a private temporary directory as its store if the default one cannot be created. The
    directory is removed at the end. Raises StoreError."""
    reason = _creation_error(config)
    if not reason:
        yield config
        return
    folder = _create_temporary_directory(reason)
    try:
        free = shutil.disk_usage(folder).free
        max_size = Bytes(min(int(config.max_size) or free, int(free * _MAX_PART)))
        log.warning(
            "The directory %s cannot be created in %s: %s. The data of this run are in the temporary directory %s, "
            "with at most %d MB, and are removed at the end. Set --db to keep them.",
            config.db,
            os.getcwd(),
            reason,
            folder,
            max_size // 1_000_000,
        )
        # Events that are received after the end would be stored in the removed directory.
        yield dataclasses.replace(config, db=str(folder / "store"), max_size=max_size, event_drain_linger=Seconds(0))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _creation_error(config: Config) -> str:
    """Why the default data directory cannot be created; "" if it can, if it exists, or if another one was named."""
    path = Path(config.db)
    if config.db != DEFAULT_CONFIG.db or path.exists():
        return ""
    try:
        create_directory(path)
        path.rmdir()  # the store is created after the other options have been found valid
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFull(f"The directory {path} cannot be created: {error.strerror}") from error
        return error.strerror or str(error)
    return ""


def _create_temporary_directory(reason: str) -> Path:
    for parent in (None, *_MORE_DIRECTORIES):
        try:
            return Path(tempfile.mkdtemp(prefix="bellflower-", dir=parent))
        except OSError:
            continue
    raise StoreError(
        f"The data directory cannot be created ({reason}), and there is no temporary directory",
        hint="set --db to a directory that can be written, for example a volume",
    )
