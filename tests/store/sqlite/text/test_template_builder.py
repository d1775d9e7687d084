"""Template files follow the rows: they are extended, replaced after damage, and removed with their segment."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flower.store.factory import open_writer
from flower.store.protocols import Batch, Retention, TaskChange, Writer
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text import TextWriter, template_builder
from flower.store.sqlite.text.backlog import IndexBacklog
from flower.store.sqlite.text.generation import create_generation, read_generation
from flower.store.sqlite.text.template_file import SegmentTemplates, list_template_files, read_templates, template_path
from flower.store.sqlite.text.templates import ABSENT, FIRST_TEMPLATE
from tests.helpers.servers import wait_for
from tests.helpers.task_factory import make

SEGMENT_TASKS = 100


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_builder, "MIN_CHANGED_ROWS", 30)
    monkeypatch.setattr(template_builder, "_MAX_STEP_ROWS", 40)
    monkeypatch.setattr(template_builder, "_CHUNK_ROWS", 16)
    monkeypatch.setattr(template_builder, "_CHECK_INTERVAL", 0.0)


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with closing(open_writer(path, segment_tasks=SEGMENT_TASKS, text_index=False)) as opened:
        create_generation(path / "text")
        yield opened


Build = Callable[[], int]


@pytest.fixture
def build(path: Path, writer: Writer) -> Iterator[Build]:
    """Builds until nothing is left; returns the number of steps."""
    with closing(IndexBacklog(StoreDirectory(path))) as backlog:

        def run() -> int:
            generation = read_generation(path / "text")
            assert generation is not None
            backlog.set_blocks(generation.name, frozenset())
            steps = 0
            while backlog.build_templates():
                steps += 1
            return steps

        yield run


def add(writer: Writer, numbers: range) -> None:
    writer.write(Batch(new=[make(number) for number in numbers]))


def templates(path: Path, number: int = 1) -> SegmentTemplates:
    return read_templates(template_path(path / "text", number))


def test_a_file_is_extended_when_there_are_many_new_rows(path: Path, writer: Writer, build: Build) -> None:
    add(writer, range(29))
    assert build() == 0
    add(writer, range(29, 90))
    assert build() == 2  # 40 of 90 rows, then 40 of 50; the other 10 are too few
    content = templates(path)
    assert np.count_nonzero(content.versions) == 80
    assert content.numbers["args"][:80].tolist() == [FIRST_TEMPLATE] * 80
    assert content.numbers["exception"][:80].tolist() == [ABSENT] * 80
    assert content.templates["kwargs"].templates == [b"{'order_id': \0}"]
    assert build() == 0


def test_a_segment_that_no_longer_changes_is_completed(
    path: Path, writer: Writer, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(writer, range(110))
    assert build() == 2
    monkeypatch.setattr(template_builder, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(template_builder, "MIN_QUIET_ROWS", 5)
    assert build() == 2
    assert np.count_nonzero(templates(path).versions) == 100
    assert np.count_nonzero(templates(path, 2).versions) == 10


def test_changed_rows_are_split_again(path: Path, writer: Writer, build: Build) -> None:
    add(writer, range(40))
    assert build() == 1
    before = templates(path)
    tasks = writer.load([make(number).uuid for number in range(30)]).values()
    writer.write(
        Batch(
            changed=[
                TaskChange(stored.key or 0, stored.task, msgspec.structs.replace(stored.task, result="'changed'"))
                for stored in tasks
            ]
        )
    )
    assert build() == 1
    after = templates(path)
    assert after.templates["result"].templates == [b"'ok'", b"'changed'"]
    assert after.numbers["result"][:40].tolist() == [FIRST_TEMPLATE + 1] * 30 + [FIRST_TEMPLATE] * 10
    assert (after.versions[:30] != before.versions[:30]).all()
    assert (after.versions[30:40] == before.versions[30:40]).all()


def test_rows_that_are_read_for_the_index_are_not_read_again(
    path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_builder, "MIN_QUIET_ROWS", 20)
    add(writer, range(90))
    with closing(IndexBacklog(StoreDirectory(path))) as backlog:
        generation = read_generation(path / "text")
        assert generation is not None
        backlog.set_blocks(generation.name, frozenset())
        assert len(backlog.list_pending(19)) == 19
        # these are too few to learn from, and the others will be read for the index soon
        assert not backlog.build_templates()
        assert len(backlog.list_pending(90)) == 90
        monkeypatch.setattr(template_builder, "_SELECT_TEXTS", "SELECT no_such_column FROM task")
        assert backlog.build_templates()
        assert not backlog.build_templates()
    content = templates(path)
    assert np.count_nonzero(content.versions) == 90
    assert content.numbers["args"].tolist() == [FIRST_TEMPLATE] * 90


def test_rows_of_several_segments_are_read_once(path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_builder, "MIN_QUIET_ROWS", 20)
    add(writer, range(390))
    with closing(IndexBacklog(StoreDirectory(path))) as backlog:
        generation = read_generation(path / "text")
        assert generation is not None
        backlog.set_blocks(generation.name, frozenset())
        assert len(backlog.list_pending(1_000)) == 390
        backlog.build_templates()
    assert sorted(list_template_files(path / "text")) == [1, 2, 3, 4]
    assert np.count_nonzero(templates(path, 4).versions) == 90


@pytest.mark.parametrize("damage", ["cut off", "changed", "empty", "another file", "deleted"])
def test_damaged_file_is_built_again(
    path: Path, writer: Writer, build: Build, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(writer, range(40))
    build()
    file, expected = template_path(path / "text", 1), templates(path)
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes(
            {
                "cut off": content[:-1],
                "changed": content[:-1] + bytes([content[-1] ^ 1]),
                "empty": b"",
                "another file": b"x" * 100,
            }[damage]
        )
    with closing(IndexBacklog(StoreDirectory(path))) as backlog:
        backlog.set_blocks(expected.generation, frozenset())
        assert backlog.build_templates()
    assert np.array_equal(templates(path).numbers["args"], expected.numbers["args"])
    assert ("templates-000001" in caplog.text) == (damage != "deleted")


def test_file_of_another_generation_is_replaced(path: Path, writer: Writer, build: Build) -> None:
    add(writer, range(40))
    build()
    first = templates(path)
    create_generation(path / "text")
    assert list_template_files(path / "text") == {}
    assert build() == 1
    assert templates(path).generation != first.generation


def test_file_of_columns_that_were_rebuilt_is_replaced(path: Path) -> None:
    generation = create_generation(path / "text").name

    def build_once() -> SegmentTemplates:
        with closing(IndexBacklog(StoreDirectory(path))) as backlog:
            backlog.set_blocks(generation, frozenset())
            assert backlog.build_templates()
        return templates(path)

    with closing(open_writer(path, segment_tasks=SEGMENT_TASKS, text_index=False)) as writer:
        add(writer, range(40))
        first = build_once()
    (path / "seg-000001.cols").unlink()
    with closing(open_writer(path, segment_tasks=SEGMENT_TASKS, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
        assert build_once().columns_id != first.columns_id


def test_file_is_removed_with_its_segment(path: Path, writer: Writer, build: Build) -> None:
    add(writer, range(250))
    build()
    assert list_template_files(path / "text").keys() == {1, 2, 3}
    while writer.prune(Retention(max_tasks=60), now=9_999.0):
        pass
    build()
    segments = StoreDirectory(path).segment_numbers()
    assert 1 not in segments
    assert set(list_template_files(path / "text")) <= set(segments)


def test_the_index_of_a_writer_builds_the_files(path: Path) -> None:
    with closing(open_writer(path, segment_tasks=SEGMENT_TASKS)) as writer:
        add(writer, range(100))
        wait_for("the template file", lambda: template_path(path / "text", 1).exists())
        mode = template_path(path / "text", 1).stat().st_mode & 0o777
    assert mode == 0o600
    # blocks and templates are of the same generation
    with closing(TextWriter(path / "text")) as index:
        assert templates(path).generation == index.generation
