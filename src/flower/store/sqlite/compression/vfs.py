"""Opens compressed segments with SQLite: a read-only VFS that decompresses the pages."""

import os
import threading
from pathlib import Path
from typing import Any, Final

import apsw

from flower.store.sqlite.compression.compressed_file import CompressedFile

_lock: Final = threading.Lock()
_registered: Final[dict[bool, "_CompressedVFS"]] = {}


class _OpenFile:
    """What SQLite requires of a file that never changes: there are no locks."""

    def __init__(self, file: CompressedFile) -> None:
        self.xRead = file.xRead
        self.xFileSize = file.xFileSize
        self.xClose = file.xClose

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_IMMUTABLE


class _CompressedVFS(apsw.VFS):
    def __init__(self, name: str, *, is_damaged: bool) -> None:
        super().__init__(name, base="")
        self.name = name
        self._is_damaged = is_damaged

    def xFullPathname(self, name: str) -> str:
        # SQLite's own reports a symbolic link in the path by a result code that apsw raises as an error
        return os.path.realpath(name)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        if not flags[0] & apsw.SQLITE_OPEN_MAIN_DB:  # temporary data of large sorts
            return apsw.VFSFile("", name, flags)
        flags[1] = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _OpenFile(CompressedFile(Path(path), is_damaged=self._is_damaged))


def compressed_vfs(*, is_damaged: bool = False) -> str:
    """The name of the VFS. `is_damaged`: see `CompressedFile`."""
    with _lock:
        if is_damaged not in _registered:
            name = "bellflower-compressed" + ("-damaged" if is_damaged else "")
            _registered[is_damaged] = _CompressedVFS(name, is_damaged=is_damaged)
        return _registered[is_damaged].name
