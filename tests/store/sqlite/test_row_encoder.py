"""Rows of tasks: encoded together, and decoded one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flower.records import Attempt, Task
from flower.store.sqlite.row_codec import WordDictionary, decode_row, pack_id, pack_ids
from flower.store.sqlite.row_encoder import RowEncoder
from flower.store.sqlite.schema import STATE_IDS, TASK_COLUMNS
from tests.helpers.search_strategies import tasks
from tests.helpers.task_factory import make, uuid_of

IDS = st.one_of(
    st.uuids().map(str),
    st.sampled_from(
        ["", "a", uuid_of(1).upper(), uuid_of(1).replace("-", ""), uuid_of(1)[:-1] + " ", "é" * 36, "-" * 36]
    ),
    st.sampled_from(["6f3c0e9a7-d41-4f0b-9a55-0d2f5be0c001", " f3c0e9a-7d41-4f0b-9a55-0d2f5be0c001", "\ud800"]),
)


def encode(*new: Task) -> tuple[RowEncoder, list[tuple[object, ...]], WordDictionary]:
    dictionary = WordDictionary((number, "state", state) for state, number in STATE_IDS.items())
    encoder = RowEncoder(dictionary)
    rows = list(zip(*encoder.encode(range(10, 10 + len(new)), new), strict=True))
    dictionary.pop_new_words()
    return encoder, rows, dictionary


@given(st.lists(IDS, min_size=1, max_size=5))
def test_ids_are_packed_together_as_one_by_one(ids: list[str]) -> None:
    assert pack_ids(ids) == [pack_id(each) for each in ids]


@given(st.lists(tasks(), min_size=1, max_size=5))
def test_rows_that_are_encoded_together_are_those_of_single_tasks(new: list[Task]) -> None:
    _, rows, dictionary = encode(*new)
    assert [row[0] for row in rows] == list(range(10, 10 + len(new)))
    for task, row in zip(new, rows, strict=True):
        _, (alone,), own = encode(task)
        assert decode_row(row, dictionary.values) == decode_row(alone, own.values)
        assert row[1] == alone[1]  # `plain`


def test_one_unusual_task_does_not_change_the_others() -> None:
    unusual = replace(
        make(2), uuid="odd", args="caf\u00e9 \ud800", pid=2**70, clock=-(2**70), parent_id="p", root_id="r",
        earlier=(Attempt(1, state="RETRY"),), data={"task-progress": {"done": 1}},
    )  # fmt: skip
    plain = make(1, parent_id=None)
    encoder, (first, second, third), dictionary = encode(plain, unusual, plain)
    assert (first[1], second[1], third[1]) == (1, 0, 1)
    assert decode_row(first, dictionary.values) == decode_row(third, dictionary.values) == plain
    task = decode_row(second, dictionary.values)
    assert (task.args, task.pid, task.clock) == ("café \\ud800", 2**63 - 1, -(2**63 - 1))
    assert (task.earlier, task.data, task.parent_id) == (unusual.earlier, unusual.data, "p")
    assert (encoder.has_non_uuid_ids, encoder.has_parents) == (True, True)


@pytest.mark.parametrize(("fields", "flags"), [({}, (False, False)), ({"parent_id": uuid_of(9)}, (False, True))])
def test_flags_state_what_was_encoded(fields: dict[str, str], flags: tuple[bool, bool]) -> None:
    encoder, (row,), _ = encode(make(1, **{"parent_id": None, "root_id": None, **fields}))
    assert (encoder.has_non_uuid_ids, encoder.has_parents) == flags
    assert len(row) == len(TASK_COLUMNS)
