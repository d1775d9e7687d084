"""Reports on damaged files. They are stored in `damaged/`, so that every process of the store reports the damage that
one of them has found, and so that it is logged once.

A report exists until the file was found intact or an operator deletes it.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from flower.private_files import create_directory, open_file
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.directory import DAMAGED_DIRECTORY, REPORT_SUFFIX, StoreDirectory

log = logging.getLogger(__name__)

#: files named in an explanation; the others are counted
_MAX_NAMED_FILES: Final = 3
#: damaged rows that one process logs
_MAX_LOGGED_ROWS: Final = 100


class DamageReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """`segment`: the catalog entry of a damaged segment, None for other files. `lost`: number of tasks that cannot be
    read; None if it is not known. `is_final`: the writer has moved the file, or has recovered what is readable."""

    file: str
    reason: str
    detected_at: float
    segment: SegmentInfo | None = None
    lost: int | None = None
    is_final: bool = False


_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(DamageReport).decode


class DamageReports:
    """The reports of a store, as one process sees them. Thread-safe."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._path = directory.path / DAMAGED_DIRECTORY
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._stored: dict[str, DamageReport] = {}
        #: reports that could not be written, for example on a read-only disk
        self._unwritten: dict[str, DamageReport] = {}
        self._logged_rows: set[tuple[str, str]] = set()

    def current(self) -> tuple[DamageReport, ...]:
        """All reports. Costs microseconds if nothing has changed."""
        with self._lock:
            self._reload()
            return tuple({**self._unwritten, **self._stored}.values())

    def find(self, file: str) -> DamageReport | None:
        with self._lock:
            self._reload()
            return self._stored.get(file) or self._unwritten.get(file)

    def is_final(self, file: str) -> bool:
        """Whether the writer has replaced this file or moved it away."""
        report = self.find(file)
        return report is not None and report.is_final

    def add(
        self,
        file: str,
        reason: object,
        segment: SegmentInfo | None = None,
        *,
        lost: int | None = None,
        is_final: bool = False,
    ) -> None:
        """Report a damaged file, and log it, unless there is a report already."""
        report = DamageReport(file, str(reason), time.time(), segment, lost, is_final)
        with self._lock:
            self._reload()
            if file in self._stored or file in self._unwritten:
                return
            is_new = self._create(report)
        if is_new:
            log.error("Damaged file of the store: %s (%s)", self._directory.path / file, report.reason)

    def log_row(self, file: str, uuid: str, fields: Sequence[str]) -> None:
        """Log once that fields of a task cannot be read."""
        key = (file, uuid)
        if key in self._logged_rows or len(self._logged_rows) > _MAX_LOGGED_ROWS:
            return
        self._logged_rows.add(key)
        log.error(
            "Damaged row of the store: task %s in %s; it is shown without %s",
            uuid, self._directory.path / file, ", ".join(fields),
        )  # fmt: skip
        if len(self._logged_rows) > _MAX_LOGGED_ROWS:
            log.error("More damaged rows of the store are not logged")

    def resolve(
        self, file: str, reason: object, segment: SegmentInfo | None, outcome: str, *, lost: int | None = None
    ) -> None:
        """Report what the writer did with a damaged file. The log line contains the outcome; if the damage was logged
        before, it is logged for information."""
        previous = self.find(file)
        report = DamageReport(
            file,
            str(reason) if previous is None else previous.reason,
            time.time() if previous is None else previous.detected_at,
            segment,
            lost,
            is_final=True,
        )
        with self._lock:
            try:
                create_directory(self._path)
                self._write(report)
                self._stored[file] = report
                self._unwritten.pop(file, None)
            except OSError:
                self._unwritten[file] = report
        level = logging.ERROR if previous is None else logging.INFO
        log.log(level, "Damaged file of the store: %s (%s): %s", self._directory.path / file, report.reason, outcome)

    def remove(self, file: str) -> None:
        """Remove the report of a file that is intact."""
        with self._lock:
            self._report_path(file).unlink(missing_ok=True)
            self._stored.pop(file, None)
            self._unwritten.pop(file, None)

    def explain(self, is_excluded: Callable[[SegmentInfo], bool] = lambda _: False) -> str | None:
        """Why a result lacks tasks; None if no task is missing. `is_excluded`: whether no task of a segment could be in
        the result."""
        reports = [
            report
            for report in self.current()
            if report.segment is not None and report.lost != 0 and not is_excluded(report.segment)
        ]
        if not reports:
            return None
        names = ", ".join(_name_with_loss(report) for report in reports[:_MAX_NAMED_FILES])
        more = f" and {len(reports) - _MAX_NAMED_FILES} more" if len(reports) > _MAX_NAMED_FILES else ""
        return f"Tasks in damaged files of the store are missing: {names}{more}; see the health check."

    def _create(self, report: DamageReport) -> bool:
        """Return whether the report is new: False if another process has reported the file meanwhile."""
        try:
            create_directory(self._path)
            # a link fails if the report exists, and the report is complete when it appears
            temporary = self._write_temporary(report)
            try:
                os.link(temporary, self._report_path(report.file))
            finally:
                temporary.unlink(missing_ok=True)
        except FileExistsError:
            self._stored.setdefault(report.file, report)
            return False
        except OSError:
            self._unwritten[report.file] = report
            return True
        self._stored[report.file] = report
        return True

    def _write(self, report: DamageReport) -> None:
        self._write_temporary(report).rename(self._report_path(report.file))

    def _write_temporary(self, report: DamageReport) -> Path:
        temporary = self._path / f".{report.file}.{os.getpid()}.{threading.get_ident()}.new"
        with open_file(temporary, "wb") as file:
            file.write(_to_json(report))
        return temporary

    def _report_path(self, file: str) -> Path:
        return self._path / f"{file}{REPORT_SUFFIX}"

    def _reload(self) -> None:
        try:
            status = os.stat(self._path)
        except OSError:
            self._stamp, self._stored = None, {}
            return
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp == self._stamp:
            return
        self._stored = {report.file: report for report in self._read_all()}
        # a directory that was changed just now may change again within the same tick of its clock
        self._stamp = stamp if time.time_ns() - status.st_mtime_ns > 1_000_000_000 else None

    def _read_all(self) -> Sequence[DamageReport]:
        reports: list[DamageReport] = []
        for name in sorted(os.listdir(self._path)):
            if name.endswith(REPORT_SUFFIX):
                with contextlib.suppress(OSError, msgspec.MsgspecError):
                    reports.append(_from_json((self._path / name).read_bytes()))
        return reports


def _name_with_loss(report: DamageReport) -> str:
    if report.lost is not None:
        return f"{report.file} ({report.lost:,} tasks)"
    return report.file
