"""The ledger in one SQLite file of the store's folder, which all web servers write to."""

from flower.store.sqlite.folder import Folder
from flower.store.sqlite.ledger import samples
from flower.store.sqlite.ledger.file import LedgerFile
from flower.store.sqlite.ledger.samples import SqliteSamples


class SqliteLedger:
    def __init__(self, folder: Folder) -> None:
        self._file = LedgerFile(folder, samples.TABLES)
        self._samples = SqliteSamples(self._file)

    @property
    def samples(self) -> SqliteSamples:
        return self._samples

    def close(self) -> None:
        self._file.close()
