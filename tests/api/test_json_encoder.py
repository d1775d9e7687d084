"""JSON of values from other processes."""

import json
from typing import Any

import msgspec
import pytest

from flower.api.json_encoder import dump_json, to_json_safe


class Answer(msgspec.Struct, rename={"value": "result"}):
    value: Any


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({None: 1, 1: "a"}, {"null": 1, "1": "a"}),
        ({True: {None: 2}}, {"true": {"null": 2}}),
        ([{1.5: ({False: "\ud800"},)}], [{"1.5": [{"false": "\ud800"}]}]),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({None: float("nan")}, {"null": None}),
    ],
)
def test_odd_keys_of_a_result_are_text(value: Any, expected: Any) -> None:
    assert json.loads(dump_json(value)) == expected
    assert json.loads(dump_json(Answer(value))) == {"result": expected}


def test_results_that_json_cannot_encode_are_shown_by_their_repr() -> None:
    assert to_json_safe({(1, 2): 3}) == "{(1, 2): 3}"
    assert to_json_safe({None: 1}) == {None: 1}
