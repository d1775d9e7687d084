"""The ledger in one SQLite file of the store's folder, which all web servers write to."""

from flower.store.sqlite.folder import Folder
from flower.store.sqlite.ledger.file import LedgerFile


class SqliteLedger:
    def __init__(self, folder: Folder) -> None:
        self._file = LedgerFile(folder, ())

    def close(self) -> None:
        self._file.close()
