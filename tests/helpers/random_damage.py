"""Damages a random file of a small store, stopped or in use, and checks that all other tasks are returned, that what is
missing is reported, and that no query raises. Prints one line for each violation.

`python -m tests.helpers.random_damage DIRECTORY SEEDS…`; SEEDS is one seed or a range like `0-12`, without the 12. A
seed always does the same damage. It is a process of its own, because a defect can end the process (SIGBUS). `--trace`
ends at the first exception. With `--compressed`, full segments are compressed.
"""

import itertools
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flower.records import Task, Worker
from flower.search.tree import EVERYTHING, Term
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Reader, Writer
from flower.store.query_results import BucketSpan
from flower.store.sqlite import segment_compressor
from tests.helpers.task_factory import make, uuid_of

SEGMENT = 40
COUNT = 150
TASKS = {
    task.uuid: task
    for task in (
        make(
            number,
            args="long text " * 40,
            state="FAILURE" if number % 6 == 0 else "SUCCESS",
            exception=f"ValueError({number})" if number % 6 == 0 else None,
            root_id=uuid_of(number - number % 10),
            data={"progress": {"percent": number}},
        )
        for number in range(COUNT)
    )
}
SPAN = BucketSpan(1000.0, 20.0, 10)
#: without effect on queries, or SQLite itself maps the file
_EXCLUDED_SUFFIXES = (".lock", "-shm")


def write_tasks(writer: Writer) -> None:
    tasks = list(TASKS.values())
    for place in range(0, COUNT, 25):
        writer.write(Batch(new=tasks[place : place + 25], workers=[Worker("celery@w1", pid=place)]))


def create_base(path: Path) -> None:
    writer = open_writer(path, segment_tasks=SEGMENT)
    write_tasks(writer)
    writer.finish_maintenance()  # type: ignore[attr-defined]
    writer.close()


def list_files(path: Path) -> list[Path]:
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.endswith(_EXCLUDED_SUFFIXES)]
    return sorted(file for file in files if file.stat().st_size)


def damage_file(chance: random.Random, file: Path) -> str:
    """Return a description. No descriptor of a database is closed: that would release SQLite's locks."""
    size = file.stat().st_size
    how = chance.choice(["bit", "bit", "page", "truncate", "delete"])
    match how:
        case "delete":
            file.unlink()
        case "truncate":
            os.truncate(file, chance.randrange(size))
        case _:
            descriptor = os.open(file, os.O_RDWR)
            if how == "page":
                os.pwrite(descriptor, chance.randbytes(min(4096, size)), chance.randrange(size) // 4096 * 4096)
            else:
                place = chance.randrange(size)
                byte = os.pread(descriptor, 1, place)[0] ^ (1 << chance.randrange(8))
                os.pwrite(descriptor, bytes([byte]), place)
    return how


def query_all(reader: Reader) -> tuple[set[str], dict[str, Any]]:
    """The ids of all tasks that are returned, and the results of all queries."""
    results: dict[str, Any] = {
        "page": reader.task_page(Query(), limit=1_000),
        "count": reader.count_until_deadline(),
        "facets": reader.facets(EVERYTHING, ["state", "name", "exception", "failure"]),
        "histogram": reader.histogram(EVERYTHING, SPAN),
        "summaries": reader.summaries(EVERYTHING, by="name"),
        "timeline": reader.timeline(EVERYTHING, SPAN),
        "failures": reader.failures(EVERYTHING),
        "workflows": reader.workflows(),
        "text": reader.count_until_deadline(Term("", "contains", "ong tex")),
        "family": reader.family(uuid_of(13)),
    }
    for read in (reader.workers, reader.gaps, reader.names, reader.counters, reader.recorder_status, reader.status):
        read()
    reader.changes(2)
    reader.failures_seen()
    for number in range(0, COUNT, 7):
        reader.task(uuid_of(number))
    listed = list(reader.tasks(Query(sort=())))
    ids = {task.uuid for task in listed}
    if len(ids) != len(listed):
        raise AssertionError("a task is returned twice")
    return ids, results


class Case:
    def __init__(self, base: Path, path: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.path = path
        self.base = base
        self.violations: list[str] = []
        self.label = f"seed {seed}"

    def run(self) -> list[str]:
        shutil.rmtree(self.path, ignore_errors=True)
        if self.chance.random() < 0.5:
            self._damage_stopped()
        else:
            self._damage_in_use()
        return self.violations

    def _damage(self) -> Path:
        file = self.chance.choice(list_files(self.path))
        how = damage_file(self.chance, file)
        self.label += f", {file.relative_to(self.path)}: {how}"
        self.has_flipped_bit = how == "bit"
        return file

    def _damage_stopped(self) -> None:
        shutil.copytree(self.base, self.path)
        self.label += ", stopped"
        file = self._damage()
        reader = open_reader(self.path)
        self._check("reader", reader, file)
        self._check_with_writer(reader, file)
        reader.close()

    def _damage_in_use(self) -> None:
        writer, reader = open_writer(self.path, segment_tasks=SEGMENT, text_index=False), open_reader(self.path)
        write_tasks(writer)
        query_all(reader)
        self.label += ", in use"
        file = self._damage()
        self._check("first", reader, file)
        other = open_reader(self.path)
        self._check("another reader", other, file)
        writer.maintain()
        while writer.maintain():
            pass
        self._check("after maintenance", reader, file)
        writer.write(Batch(new=[make(1_000)]))
        self._expect(reader.task(uuid_of(1_000)) is not None, "a new task is not returned")
        writer.close()
        self._check("after the writer", reader, file)
        for each in (reader, other):
            each.close()

    def _check_with_writer(self, reader: Reader, file: Path) -> None:
        writer = open_writer(self.path, segment_tasks=SEGMENT, text_index=False)
        writer.maintain()
        self._check("with writer", reader, file)
        writer.write(Batch(new=[make(1_000)]))
        self._expect(reader.task(uuid_of(1_000)) is not None, "a new task is not returned")
        writer.close()

    def _check(self, step: str, reader: Reader, file: Path) -> None:
        attempt: Callable[[], tuple[set[str], dict[str, Any]]] = lambda: query_all(reader)  # noqa: E731
        try:
            ids, results = attempt()
        except Exception as error:
            if "--trace" in sys.argv:
                raise
            self.violations.append(f"{self.label}: {step}: {type(error).__name__}: {error}")
            return
        missing = TASKS.keys() - ids
        number = int(file.name[4:10]) if file.name.startswith("seg-") and file.suffix != ".cols" else None
        tasks: list[Task] = list(TASKS.values())
        own = {task.uuid for task in tasks[(number - 1) * SEGMENT : number * SEGMENT]} if number else set[str]()
        # SQLite has no checksums: a bit that turns in an id or in meta.db is not always noticed
        tolerated = 1 if self.has_flipped_bit else 0
        if file.name.startswith("meta.db") and self.has_flipped_bit:
            tolerated = COUNT
        self._expect(len(missing - own) <= tolerated, f"{step}: {len(missing - own)} tasks of other files are missing")
        if len(missing) > tolerated:
            for name, result in results.items():
                if name != "family" and result.partial is None:
                    self.violations.append(f"{self.label}: {step}: {name} does not report {len(missing)} tasks")
            self._expect(bool(reader.status().damaged), f"{step}: the status lists no damage")

    def _expect(self, condition: bool, text: str) -> None:
        if not condition:
            self.violations.append(f"{self.label}: {text}")


def parse_seeds(text: str) -> range:
    first, _, end = text.partition("-")
    return range(int(first), int(end) if end else int(first) + 1)


def main() -> int:
    directory, *ranges = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if "--compressed" in sys.argv:
        segment_compressor.MIN_FILE_BYTES = 0  # type: ignore[misc]
    base = Path(directory) / "base"
    shutil.rmtree(base, ignore_errors=True)
    create_base(base)
    for seed in itertools.chain.from_iterable(map(parse_seeds, ranges)):
        try:
            violations = Case(base, Path(directory) / "case", seed).run()
        except Exception as error:
            violations = [f"seed {seed}: {type(error).__name__}: {error}"]
            if "--trace" in sys.argv:
                raise
        for violation in violations:
            print(violation, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
