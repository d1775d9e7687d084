"""The SQL of a search, on the rows of a segment, agrees with the matcher, for every operator including `is:slow`."""

from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flower.records import Task
from flower.search.matcher import matches
from flower.search.parser import parse_search
from flower.search.tree import Node
from flower.store.sqlite.row_codec import WordDictionary, decode_row
from flower.store.sqlite.row_encoder import RowEncoder
from flower.store.sqlite.schema import INSERT_TASK, SEGMENT_SCHEMA, SELECT_TASKS
from flower.store.sqlite.sql_where import compile_where, register_functions
from tests.helpers.search_strategies import tasks, trees

SLOW = {"shop.pay": 1.0, "shop.Mail": 0.0, "ünïcode.task": float("inf")}


class Rows:
    """The rows of a segment in memory, and the tasks decoded from them."""

    def __init__(self, drawn: list[Task]) -> None:
        self.db = apsw.Connection(":memory:")
        register_functions(self.db)
        for statement in SEGMENT_SCHEMA:
            self.db.execute(statement)
        words: list[Any] = self.db.execute("SELECT id, kind, value FROM word").fetchall()
        writing = WordDictionary(words)
        self.encoder = RowEncoder(writing)
        self.db.executemany(INSERT_TASK, zip(*self.encoder.encode(range(len(drawn)), drawn), strict=True))
        self.dictionary = WordDictionary([*words, *writing.pop_new_words()])
        self.tasks = [decode_row(row, self.dictionary.values) for row in self.db.execute(f"{SELECT_TASKS} ORDER BY id")]

    def found(self, node: Node) -> list[int]:
        where = compile_where(
            node, self.dictionary, has_non_uuid_ids=self.encoder.has_non_uuid_ids, slow_thresholds=SLOW
        )
        sql = f"SELECT id FROM task WHERE id IN (SELECT id FROM task) AND ({where.sql}) ORDER BY id"
        return [key for (key,) in self.db.execute(sql, where.values)]

    def expected(self, node: Node) -> list[int]:
        return [key for key, task in enumerate(self.tasks) if matches(node, task, SLOW)]


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_sql_agrees_with_the_matcher(data: st.DataObject) -> None:
    rows = Rows(data.draw(st.lists(tasks(), min_size=1, max_size=6, unique_by=lambda task: task.uuid)))
    for _ in range(6):
        node = data.draw(trees(data.draw(st.sampled_from(rows.tasks))))
        assert rows.found(node) == rows.expected(node)


@pytest.fixture
def shop() -> Iterator[Rows]:
    rows = Rows(
        [
            Task(
                uuid="a", name="shop.pay", runtime=1.5, sent=1.0, received=2.0, started=4.0, kwargs=r"{'k': '\ud800'}"
            ),
            Task(uuid="b", name="shop.pay", runtime=1.0, data={"task-progress": {"percent": 60}}),
            Task(uuid="c", name="other", runtime=9.0, received=2.0, started=4.0, data={}),
        ]
    )
    yield rows
    rows.db.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("is:slow", [0]),
        ("-is:slow", [1, 2]),
        ("wait:3", [0]),
        ("wait:2", [2]),
        ("has:wait", [0, 2]),
        ("has:data", [1]),
        ("data.progress.percent:>50", [1]),
        ("attempts:1", [0, 1, 2]),
        ("kwargs.k:\ud800", [0]),
        ("kwargs:k=\ud800", [0]),
        ("name:*.pay uuid:?", [0, 1]),
    ],
)
def test_fields_without_a_column(shop: Rows, query: str, found: list[int]) -> None:
    assert shop.found(parse_search(query)) == shop.expected(parse_search(query)) == found
