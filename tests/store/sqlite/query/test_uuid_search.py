"""Substring search in UUID columns gives the same result as a search in the texts."""

import random
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flower.store.sqlite.query.uuid_search import build_bit_patterns, match_uuid_part

chance = random.Random(5)
IDS = [str(UUID(int=chance.getrandbits(128))) for _ in range(500)] + [str(UUID(int=0)), str(UUID(int=2**128 - 1))]
HIGH = np.array([UUID(text).int >> 64 for text in IDS], np.uint64)
LOW = np.array([UUID(text).int & (2**64 - 1) for text in IDS], np.uint64)


@st.composite
def parts(draw: st.DrawFn) -> str:
    whole = draw(st.sampled_from(IDS))
    start = draw(st.integers(0, 35))
    part = whole[start : draw(st.integers(start, 36))]
    return draw(st.sampled_from([part, part.replace("-", ""), part + "g", part.replace("a", "b")]))


@given(parts() | st.text("0123456789abcdef-", max_size=38) | st.text(max_size=5))
def test_a_mask_of_the_ids_that_contain_a_part(part: str) -> None:
    assert match_uuid_part(HIGH, LOW, part).tolist() == [part in text for text in IDS]


def test_number_of_bit_patterns() -> None:
    assert len(build_bit_patterns(IDS[0])) == 1
    assert len(build_bit_patterns("12345678")) == 6
    assert build_bit_patterns("xyz") == ()
    assert max(len(build_bit_patterns(digit)) for digit in "0123456789abcdef") == 32
