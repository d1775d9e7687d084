"""Creates the sample store of format 2, with the tasks of the sample of format 1. It is not made again: the test opens
what an earlier version wrote.

`python -m tests.store.sqlite.format_2.create FOLDER` makes all files in another folder. If the meaning of a query
changes, `python -m tests.store.sqlite.format_2.create` writes the answers again, from the same store.
"""

import lzma
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tests.helpers.stores import compressing_small_segments
from tests.store.sqlite.format_1.create import create_store, read_schema, write_expected

HERE = Path(__file__).parent


def extract_store(path: Path) -> Path:
    """Extract the sample store into this directory, which must not exist."""
    path.mkdir()
    with tarfile.open(HERE / "store.tar.xz") as archive:
        archive.extractall(path, filter="data")
    return path


def read_expected() -> Any:
    return msgspec.json.decode(lzma.decompress((HERE / "expected.json.xz").read_bytes()))


def create_files(folder: Path) -> None:
    create_store(folder / "plain")
    (folder / "schema.sql").write_text(read_schema(folder / "plain"))
    store = folder / "store"
    with compressing_small_segments():
        create_store(store)
    with tarfile.open(folder / "store.tar.xz", "w:xz") as archive:
        for path in sorted(store.iterdir()):
            if path.suffix in (".db", ".cols") or path.name == "recorder.status":
                archive.add(path, path.name)
    write_expected(store, folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        create_files(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            write_expected(extract_store(Path(temporary) / "store"), HERE)
