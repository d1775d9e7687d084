"""Text templates: for any texts and search strings, a decision is that of a comparison of the casefolded texts."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flower.store.sqlite.text.templates import (
    ABSENT,
    FIRST_TEMPLATE,
    MAX_TEMPLATES,
    NO,
    POSSIBLY,
    UNKNOWN,
    YES,
    ColumnTemplates,
    TemplateSplitter,
    fold,
)

#: digits, letters of ids, words, punctuation, and characters that case folding changes, lengthens or shortens
PARTS = [
    *"0123456789abcdefABCDEF",
    *"zZ ,.'\"-_/:@\n\t\0{}",
    *"ßẞİıſKéÉñ漢字😀ς\u0345²٣",
    "order",
    "Order",
    "name",
    "ORD-",
    "12",
    "17",
    "port",
    "42",
    '\n  File "/srv/app.py", line 17, in run\n',
    "5f1c1a2b-abcd",
]
texts = st.lists(st.sampled_from(PARTS), max_size=14).map("".join) | st.text(max_size=20)
words = st.lists(st.sampled_from(["order", "name", "abc", "x", "file", "port"]), max_size=4).map(
    lambda chosen: frozenset(word.encode() for word in chosen)
)


def storable(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "?", text)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Texts, and search strings, most of which are parts of the texts or nearly so."""
    stored = [storable(text) for text in draw(st.lists(texts, min_size=1, max_size=6))]
    needles = [storable(draw(texts))]
    for _ in range(draw(st.integers(1, 6))):
        text = draw(st.sampled_from(stored))
        start = draw(st.integers(0, len(text)))
        part = text[start : start + draw(st.integers(0, 12))]
        change = draw(st.sampled_from(["", "", "", "1", "a", "-", "order"]))
        position = draw(st.integers(0, len(part)))
        needles.append(part[:position] + change + part[position:])
    return stored, needles


@pytest.mark.parametrize("column", ["args", "traceback"])
@settings(max_examples=150, deadline=None)
@given(cases(), st.none() | words)
@example((["x12y"], ["y", "x", "2y", "12", "x12y", "3"]), None)
@example((["dear john smith", "dear 12ab cd"], ["dear john", "john", "r john s", "ab c", "b cd", "n s"]), frozenset())
@example((["customer12", "cus1", "xcus1 é1ab"], ["tomer", "cus", "us", "éa", "ab", "customer"]), None)
@example((["a\0b", "a1b"], ["a\0b", "\0", "ab", "a"]), None)
def test_decisions_are_those_of_the_texts(
    column: str, case: tuple[list[str], list[str]], vocabulary: frozenset[bytes] | None
) -> None:
    stored, needles = case
    splitter = TemplateSplitter(column, ColumnTemplates(vocabulary=vocabulary))
    numbers = splitter.find_numbers(stored)
    templates = splitter.result()
    # in a second step, as when a file is extended
    extended = TemplateSplitter(column, templates)
    assert extended.find_numbers(stored) == numbers
    for content in (templates, extended.result()):
        for needle in needles:
            states = content.match(fold(needle))
            for text, number in zip(stored, numbers, strict=True):
                contains = needle.casefold() in text.casefold()
                assert states[number] in ((YES, POSSIBLY) if contains else (NO, POSSIBLY)), (text, needle)


def test_texts_that_differ_in_numbers_and_ids_have_one_template() -> None:
    splitter = TemplateSplitter("kwargs")
    texts = [f"{{'order': 'ORD-{number}', 'id': '{number:04d}beef', 'town': 'Bergen'}}" for number in range(1_000)]
    assert set(splitter.find_numbers(texts)) == {FIRST_TEMPLATE}
    templates = splitter.result()

    def states(needle: str) -> list[int]:
        return templates.match(fold(needle)).tolist()[FIRST_TEMPLATE:]

    assert [states(needle) for needle in ("Bergen", "'order'", "', 'town': 'b", "d-")] == [[YES]] * 4
    assert [states(needle) for needle in ("Oslo", "order 1", "ord_17", "deef")] == [[NO]] * 4
    assert [states(needle) for needle in ("17", "ORD-17", "beef", "ee", "7beef', 'town")] == [[POSSIBLY]] * 5


def test_positions_in_tracebacks_are_decided() -> None:
    splitter = TemplateSplitter("traceback")
    splitter.find_numbers(
        f'Traceback:\n  File "/srv/pay.py", line 41, in charge\nDeclined: card {number}' for number in range(20)
    )
    templates = splitter.result()
    assert len(templates.templates) == 1
    assert templates.match(fold("line 41, in charge")).tolist()[FIRST_TEMPLATE:] == [YES]
    assert templates.match(fold("line 41, in refund")).tolist()[FIRST_TEMPLATE:] == [NO]


def test_rare_words_are_removed() -> None:
    first = [f"{{'name': '{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}son', 'town': 'Bergen'}}" for i in range(676)]
    splitter = TemplateSplitter("kwargs")
    splitter.learn_vocabulary(first)
    assert set(splitter.find_numbers(first)) == {FIRST_TEMPLATE}
    templates = splitter.result()
    assert templates.match(fold("bergen"))[FIRST_TEMPLATE] == YES
    assert templates.match(fold("name"))[FIRST_TEMPLATE] == YES
    assert templates.match(fold("bason"))[FIRST_TEMPLATE] == POSSIBLY
    assert templates.match(fold("basin"))[FIRST_TEMPLATE] == NO
    assert templates.match(fold("'bason', 'tawn'"))[FIRST_TEMPLATE] == NO


def test_columns_with_too_many_templates_are_not_split_further() -> None:
    splitter = TemplateSplitter("args")
    numbers = np.zeros(3 * MAX_TEMPLATES, np.uint16)
    numbers[0] = splitter.find_numbers(["(1, 'a')"])[0]
    for index in range(1, len(numbers)):
        # words of letters only, all different
        text = "".join(chr(97 + int(digit)) for digit in str(index)) + "-" * index
        numbers[index] = splitter.find_numbers([text])[0]
        if splitter.is_full:
            numbers = splitter.remove_rare(numbers)
    templates = splitter.result()
    assert templates.is_stopped
    assert len(templates.templates) < MAX_TEMPLATES
    assert set(numbers[1:].tolist()) <= {UNKNOWN, *range(FIRST_TEMPLATE, FIRST_TEMPLATE + MAX_TEMPLATES)}
    assert templates.match(fold("a"))[UNKNOWN] == POSSIBLY


def test_frequent_templates_are_kept_when_rare_ones_are_removed() -> None:
    splitter = TemplateSplitter("args")
    common = splitter.find_numbers(f"({number}, 'common')" for number in range(10))
    rare = splitter.find_numbers("-" * number for number in range(1, 30))
    numbers = splitter.remove_rare(np.array([*common, *rare, ABSENT], np.uint16)).tolist()
    assert numbers == [FIRST_TEMPLATE] * 10 + [UNKNOWN] * 29 + [ABSENT]
    assert splitter.find_numbers(["(99, 'common')", "+"]) == [FIRST_TEMPLATE, FIRST_TEMPLATE + 1]


def test_values_that_are_not_split() -> None:
    splitter = TemplateSplitter("args")
    assert splitter.find_numbers([None, 17, "x" * 100_000]) == [ABSENT, UNKNOWN, UNKNOWN]
    assert splitter.result().match(b"anything")[ABSENT] == NO
