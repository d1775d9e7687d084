"""Searches of texts with and without template files have the same results, and with them hardly any row is read."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from flower.records import Task
from flower.search.parser import parse_search
from flower.search.tree import Not
from flower.store.factory import open_reader, open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Query, TaskChange, Writer
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.query import evaluate
from flower.store.sqlite.query.limits import QueryLimits
from flower.store.sqlite.query.text_templates import TemplateCache
from flower.store.sqlite.reader import SqliteReader
from flower.store.sqlite.text import template_builder
from flower.store.sqlite.text.template_file import list_template_files, template_path
from tests.helpers.task_factory import make, uuid_of
from tests.store.sqlite.test_random_event_sequences import index_all_texts

TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/pay.py", line {line}, in charge\nDeclined: card {number}'
SEARCHES = (
    "order_id", "Bergen", "'town': 'BERGEN'", "Oslo", "ok", "o", "'", "ORD-", "ORD-00017", "17", '"line 41, in charge"',
    '"line 42, in charge"', '"line 43"', "kwargs:bergen", "kwargs:oslo", "args:bergen", "traceback:charge",
    "result:ok", "exception:declined", "exception:card", "straße", "STRASSE", "漢", "nothing", "beef", "customer",
    "kwargs:order_id=17", "result:=x", "args.0:17", '"order_id\': 1"',
)  # fmt: skip


def task(number: int) -> Task:
    failed = number % 5 == 0
    texts = {
        "kwargs": f"{{'order_id': {number}, 'id': '{number * 7919 % 65536:04x}beef', 'town': "
        f"'{('Bergen', 'Ålesund', 'Straße 漢')[number % 3]}'}}",
        "exception": f"Declined('card {number}')" if failed else None,
        "traceback": TRACEBACK.format(line=41 + number % 2, number=number) if failed else None,
        "result": None if failed else "'ok'",
    }
    return make(number, state="FAILURE" if failed else "SUCCESS", **texts)


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of each verification."""
    counts: list[int] = []
    verify = evaluate.verify_rows

    def count(view: object, node: object, slots: object) -> object:
        counts.append(len(slots))  # type: ignore[arg-type]
        return verify(view, node, slots)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "verify_rows", count)
    monkeypatch.setattr(template_builder, "MIN_CHANGED_ROWS", 1)
    return counts


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with closing(open_writer(path, segment_tasks=100, text_index=False)) as opened:
        opened.write(Batch(new=[task(number) for number in range(250)]))
        yield opened


def test_results_are_those_of_the_reference(path: Path, writer: Writer, rows_read: list[int]) -> None:
    shared = MemoryStore()
    reference_writer, reference = MemoryWriter(shared), MemoryReader(shared)
    reference_writer.write(Batch(new=[task(number) for number in range(250)]))
    for has_index in (False, True):
        index_all_texts(path, templates_only=not has_index)
        assert len(list_template_files(path / "text")) == 3
        with closing(open_reader(path)) as reader:
            for text in SEARCHES:
                where = parse_search(text)
                for node in (where, Not(where)):
                    assert reader.count(node) == reference.count(node), text
                    expected = list(reference.tasks(Query(node), limit=7))
                    assert list(reader.tasks(Query(node), limit=7)) == expected, text


@pytest.mark.parametrize("text", ["order_id", "bergen", "kwargs:oslo", "ok", "kwargs:o", ", in charge", "nothing"])
def test_rows_are_not_read(path: Path, writer: Writer, rows_read: list[int], text: str) -> None:
    where = parse_search(text if ":" in text else f'"{text}"')
    with closing(open_reader(path)) as reader:
        expected = reader.count(where)
        assert sum(rows_read) >= 50
        index_all_texts(path, templates_only=True)
        rows_read.clear()
        with closing(open_reader(path)) as other:
            assert other.count(where) == expected
        assert sum(rows_read) == 0


def test_changed_and_new_rows_are_read(path: Path, writer: Writer, rows_read: list[int]) -> None:
    index_all_texts(path, templates_only=True)
    stored = writer.load([uuid_of(7)])[uuid_of(7)]
    changed = msgspec.structs.replace(stored.task, result="'unusual'")
    writer.write(
        Batch(
            new=[task(number) for number in range(250, 253)],
            changed=[TaskChange(stored.key or 0, stored.task, changed)],
        )
    )
    with closing(open_reader(path)) as reader:
        assert [found.uuid for found in reader.tasks(Query(parse_search("unusual")))] == [uuid_of(7)]
        assert reader.count(parse_search("order_id")) == 253
        rows_read.clear()
        assert reader.count(parse_search("'ok'")) == 253 - 51 - 1
        assert sum(rows_read) == 4


@pytest.mark.parametrize("damage", ["cut off", "changed", "deleted", "copied"])
def test_rows_are_read_without_a_valid_file(path: Path, writer: Writer, rows_read: list[int], damage: str) -> None:
    index_all_texts(path, templates_only=True)
    file = template_path(path / "text", 1)
    with closing(open_reader(path)) as reader:
        assert reader.count(parse_search("bergen")) == 84
        content = file.read_bytes()
        if damage == "deleted":
            file.unlink()
        elif damage == "copied":
            # a copy of the directory is of another moment than the rows
            mark = path / "text" / "mark.json"
            copy = mark.with_name("copy")
            copy.write_bytes(mark.read_bytes())
            copy.replace(mark)
        else:
            file.write_bytes(
                content[:-9] if damage == "cut off" else content[:700] + bytes([content[700] ^ 1]) + content[701:]
            )
        rows_read.clear()
        assert reader.count(parse_search("ålesund")) == 83
        assert sum(rows_read) == (250 if damage == "copied" else 100)


def test_decisions_of_templates_are_cached_by_term(
    path: Path, writer: Writer, rows_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    index_all_texts(path, templates_only=True)
    loaded: list[int] = []
    load = TemplateCache.load

    def count(cache: TemplateCache, number: int) -> object:
        loaded.append(number)
        return load(cache, number)

    monkeypatch.setattr(TemplateCache, "load", count)
    with closing(SqliteReader(StoreDirectory(path), limits=QueryLimits(uncached_rows=0))) as reader:
        for text in ("bergen", "bergen state:FAILURE", "bergen OR nothing"):
            assert reader.count(parse_search(text)) == (17 if "state" in text else 84)
            assert sorted(set(loaded)) == [1, 2, 3], text
        # the second query has the results of the first; the third compares another word
        assert len(loaded) == 6


def test_rare_texts_are_not_compared_with_templates(
    path: Path, writer: Writer, rows_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    index_all_texts(path)
    monkeypatch.setattr(TemplateCache, "load", lambda *_: pytest.fail("templates were read"))
    with closing(open_reader(path)) as reader:
        assert reader.count(parse_search('"_id\': 17, "')) == 1
        assert sum(rows_read) <= 3
