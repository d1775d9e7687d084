"""What a check of a store finds: which file, what is wrong, and what to do."""

from typing import Literal, TypeAlias

import msgspec

#: error  data is lost, wrong or unreadable
#: note   nothing is wrong with the data, for example a file that is built again
Severity: TypeAlias = Literal["error", "note"]


class StoreFinding(msgspec.Struct, frozen=True):
    """`file` is relative to the directory of the store. `repairable`: `repair` deletes the file, which is derived from
    the rows and is built again."""

    file: str
    severity: Severity
    problem: str
    advice: str
    repairable: bool = False


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check. `files` and `tasks`: how many were checked. `repaired`: files that were deleted and are
    built again."""

    path: str
    store_format: int
    in_use: bool
    files: int
    tasks: int
    seconds: float
    findings: tuple[StoreFinding, ...]
    repaired: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)


class FindingList:
    """Collects findings; those of one file and kind are one, with their number."""

    #: of one file, so that a damaged segment does not result in a hundred thousand lines
    MAX_PER_FILE = 10

    def __init__(self) -> None:
        self._findings: list[StoreFinding] = []
        self._omitted: dict[str, int] = {}

    def add(
        self, file: str, problem: str, advice: str, *, severity: Severity = "error", repairable: bool = False
    ) -> None:
        if sum(each.file == file for each in self._findings) >= self.MAX_PER_FILE:
            self._omitted[file] = self._omitted.get(file, 0) + 1
            return
        self._findings.append(StoreFinding(file, severity, problem, advice, repairable))

    def finish(self) -> tuple[StoreFinding, ...]:
        for file, count in self._omitted.items():
            self._findings.append(StoreFinding(file, "error", f"{count:,} more problems", "see the first ones"))
        return tuple(self._findings)


RESTORE_ADVICE = "restore it from a backup; when the recorder starts, it moves the file to damaged/ and continues"
MISSING_ADVICE = "the recorder builds it when it starts"
REBUILD_ADVICE = "the recorder builds it again when it starts; --repair deletes it now"
