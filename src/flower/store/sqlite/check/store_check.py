"""The check of a whole store: each file by itself, then the files against each other."""

import stat
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import apsw

from flower.errors import StoreError, StoreInUse
from flower.store.sqlite.catalog import Catalog, SegmentInfo, decode_segment_info
from flower.store.sqlite.check.databases import META_TABLES, SEGMENT_TABLES, check_database
from flower.store.sqlite.check.derived_files import TextIndexCheck, check_columns
from flower.store.sqlite.check.findings import RESTORE_ADVICE, CheckResult, FindingList
from flower.store.sqlite.check.segments import check_segment
from flower.store.sqlite.connection import execute_statements, fetch_rows, open_for_reading
from flower.store.sqlite.counters import read_counters
from flower.store.sqlite.damage import DamageReports
from flower.store.sqlite.directory import REPORT_SUFFIX, StoreDirectory, WriterLock
from flower.store.sqlite.ledger import LEDGER_TABLES
from flower.store.sqlite.meta_db import read_gaps, read_segments, read_sequence, read_workers
from flower.store.sqlite.snapshot import READ_ERRORS, Snapshot, open_snapshot
from flower.store.sqlite.store_format import STORE_FORMAT
from flower.store.sqlite.text.generation import remove_tree

_META_ADVICE: Final = "when the recorder starts, it builds the file again from the segments, without workers and gaps"
_LEDGER_ADVICE: Final = "restore ledger.db from a backup, with Bellflower stopped"
_CATALOG_ADVICE: Final = "start the recorder: it corrects meta.db"

#: Receives the number of files done and of all files.
FileProgress = Callable[[int, int], None]


def check_store(path: Path, *, repair: bool = False, report: FileProgress = lambda done, total: None) -> CheckResult:
    """Check the store. Raises StoreError if the path has no store, InvalidStore, StoreVersionMismatch, and with
    `repair` StoreInUse if a recorder uses the store."""
    directory = StoreDirectory(path)
    if not directory.verify():
        raise StoreError(f"No data in {path}", hint="set --db to the data directory")
    started_at = time.monotonic()
    lock = WriterLock(directory) if repair else None
    try:
        check = _StoreCheck(directory, report)
        check.run()
        findings = check.findings.finish()
        repaired = tuple(sorted({finding.file for finding in findings if finding.repairable})) if repair else ()
        for name in repaired:
            remove_tree(path / name)
    finally:
        if lock is not None:
            lock.release()
    return CheckResult(
        path=str(path), store_format=STORE_FORMAT, in_use=not repair and _is_in_use(directory), files=check.files,
        tasks=check.tasks, seconds=round(time.monotonic() - started_at, 2), findings=findings, repaired=repaired,
    )  # fmt: skip


def _is_in_use(directory: StoreDirectory) -> bool:
    try:
        WriterLock(directory).release()
    except StoreInUse:
        return True
    except StoreError:
        pass
    return False


class _StoreCheck:
    def __init__(self, directory: StoreDirectory, report: FileProgress) -> None:
        self.findings = FindingList()
        self.files = self.tasks = 0
        self._directory = directory
        self._report = report

    def run(self) -> None:
        directory = self._directory
        with open_snapshot(directory) as snapshot:
            self._check_catalog(snapshot)
            numbers = sorted(snapshot.infos)
            for name, reason in snapshot.damaged.items():
                advice = _META_ADVICE if name == directory.meta_path.name else RESTORE_ADVICE
                self.findings.add(name, reason, _LEDGER_ADVICE if name == directory.ledger_path.name else advice)
            damaged = set(snapshot.damaged)
        # each file in its own transaction: a long one would let the write-ahead log of a busy file grow
        total = len(numbers) + 2
        self._check_file(directory.meta_path, META_TABLES, damaged, self._check_meta, _META_ADVICE)
        self._report(1, total)
        self._check_file(directory.ledger_path, LEDGER_TABLES, damaged, lambda db: None, _LEDGER_ADVICE)
        self._report(2, total)
        text_index = TextIndexCheck(directory, self.findings)
        for done, number in enumerate(numbers, 3):
            self._check_segment_file(number, damaged, text_index)
            self._report(done, total)
        self._check_other_files(numbers)

    def _check_file(
        self,
        path: Path,
        schema: Sequence[str],
        damaged: set[str],
        check: Callable[[apsw.Connection], None],
        advice: str,
    ) -> None:
        """Check a file in one read transaction; `check` is called if its tables are intact."""
        if path.name in damaged or not path.exists():
            return
        self.files += 1
        try:
            connection = open_for_reading(path)
        except READ_ERRORS as error:
            if path.exists():  # else removed by retention
                self.findings.add(path.name, str(error), advice)
            return
        try:
            execute_statements(connection, "BEGIN")
            if check_database(connection, path, schema, self.findings, advice=advice):
                check(connection)
        except READ_ERRORS as error:
            self.findings.add(path.name, str(error), advice)
        finally:
            connection.close()

    def _check_segment_file(self, number: int, damaged: set[str], text_index: TextIndexCheck) -> None:
        path = self._directory.segment_path(number)

        def check(connection: apsw.Connection) -> None:
            info = _read_info(connection)
            if info.number != number:
                problem = f"it describes itself as segment {info.number}"
                self.findings.add(path.name, problem, "give it the name that it had")
            self.tasks += check_segment(connection, path.name, info, self.findings)
            columns_path = self._directory.columns_path(number)
            columns = check_columns(connection, columns_path, info, self.findings)
            self.files += columns_path.exists()
            if columns is not None:
                text_index.check_rows(connection, columns, info)

        self._check_file(path, SEGMENT_TABLES, damaged, check, RESTORE_ADVICE)

    def _check_meta(self, connection: apsw.Connection) -> None:
        name = self._directory.meta_path.name
        for what, read in (("workers", read_workers), ("gaps", read_gaps)):
            try:
                read(connection)
            except (ValueError, TypeError) as error:
                self.findings.add(name, f"the {what} cannot be decoded: {error}", _META_ADVICE)
        self._check_counters(connection, name)

    def _check_counters(self, connection: apsw.Connection, name: str) -> None:
        try:
            # already inside a transaction: read_counters uses a savepoint
            counters = read_counters(connection, 0)
        except (ValueError, TypeError) as error:
            self.findings.add(name, f"the counters cannot be decoded: {error}", "counters start again at 0")
            return
        for key, count in Counter(each.key for each in counters.changed).items():
            if count > 1:
                self.findings.add(name, f"the counters of {key} exist {count} times", "restore it from a backup")
        if any(number < 0 for each in counters.changed for number, _ in each.events.values()):
            self.findings.add(name, "a counter is negative", "restore it from a backup")

    def _check_catalog(self, snapshot: Snapshot) -> None:
        """Compare the descriptions in meta.db with those in the segments, of one moment."""
        name = self._directory.meta_path.name
        infos = snapshot.infos
        if snapshot.meta is None:
            if name not in snapshot.damaged and infos:
                self.findings.add(name, "the file is missing", _META_ADVICE)
        elif name not in snapshot.damaged:
            known = {entry.number: entry for entry in read_segments(snapshot.meta)}
            for number in sorted(known.keys() - infos.keys()):
                file = self._directory.segment_path(number).name
                if file not in snapshot.damaged:
                    problem = f"the file is missing, and with it {known[number].rows:,} tasks"
                    self.findings.add(file, problem, "restore it from a backup, with Bellflower stopped")
            for number, info in infos.items():
                file = self._directory.segment_path(number).name
                if info.sequence > read_sequence(snapshot.meta):
                    problem = "its last write was interrupted before meta.db"
                    advice = "start the recorder: it completes the write"
                    self.findings.add(file, problem, advice, severity="note")
                elif known.get(number) != info:
                    self.findings.add(name, f"its copy of the description of {file} differs", _CATALOG_ADVICE)
        segments = Catalog(infos.values()).segments
        for before, after in pairwise(segments):
            if before.next > after.first and before.moved_from is None and after.moved_from is None:
                file = self._directory.segment_path(after.number).name
                self.findings.add(file, f"its keys overlap with those of segment {before.number}", RESTORE_ADVICE)

    def _check_other_files(self, numbers: Sequence[int]) -> None:
        directory = self._directory
        present = set(directory.segment_numbers())
        for path in sorted(directory.path.glob("seg-*.cols")):
            digits = path.stem.removeprefix("seg-")
            if digits.isdigit() and int(digits) not in present | set(numbers):
                advice = "--repair deletes it"
                self.findings.add(path.name, "it has no segment", advice, severity="note", repairable=True)
        reports = DamageReports(directory).current()
        for each in reports:
            lost = "" if each.lost is None else f"; {each.lost:,} tasks are lost"
            advice = f"restore it from a backup; then delete damaged/{each.file}{REPORT_SUFFIX}"
            self.findings.add(each.file, f"damage was met: {each.reason}{lost}", advice, severity="note")
        for name in sorted(set(directory.quarantined_files()) - {each.file for each in reports}):
            problem = "it was damaged, and its tasks are missing"
            self.findings.add(f"damaged/{name}", problem, "restore it from a backup, or delete it", severity="note")
        for path in directory.database_paths():
            if stat.S_IMODE(path.stat().st_mode) & 0o077 and path == directory.ledger_path:
                problem = "other users can read it, and it contains the keys that sign sessions"
                self.findings.add(path.name, problem, f"chmod 600 {path}")


def _read_info(connection: apsw.Connection) -> SegmentInfo:
    (text,) = fetch_rows(connection, "SELECT value FROM info WHERE key='segment'")[0]
    return decode_segment_info(text)
