"""Checks of the files that are derived from the rows: column files and text index."""

import random
from pathlib import Path
from typing import Any, Final

import apsw
import numpy as np

from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.check.findings import MISSING_ADVICE, REBUILD_ADVICE, FindingList
from flower.store.sqlite.check.segments import iter_rows
from flower.store.sqlite.columns.builder import NARROW_SELECT, write_chunks
from flower.store.sqlite.columns.column_file import ColumnFileInvalid, Columns, create_in_memory, read_columns_copy
from flower.store.sqlite.columns.layout import COLUMN_TYPES, REAL_COLUMNS, SORTED_KEYS
from flower.store.sqlite.connection import fetch_rows
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text.backlog import INDEXED_COLUMNS, NOT_INDEXED_BLOCK
from flower.store.sqlite.text.checksum import find_damage
from flower.store.sqlite.text.generation import block_path, list_block_numbers, read_generation
from flower.store.sqlite.text.index_block import IndexBlock, TextIndexError, open_index, read_bounds, translate_errors
from flower.store.sqlite.text.template_file import SegmentTemplates, TemplateFileInvalid, read_templates, template_path
from flower.store.sqlite.text.templates import TEMPLATE_COLUMNS, UNKNOWN, TemplateSplitter
from flower.store.sqlite.text.trigrams import MIN_SEARCH_LENGTH, split_trigrams

#: Columns that depend on the history of the rows or on the text index, not on the rows.
_OTHER_COLUMNS: Final = frozenset({"version", "text_block", "text_version"})
#: Rows of a segment whose texts are looked up in the text index.
_SAMPLED_ROWS: Final = 50
#: Beginning of a text that is looked up.
_SAMPLE_CHARACTERS: Final = 60


def check_columns(connection: apsw.Connection, path: Path, info: SegmentInfo, findings: FindingList) -> Columns | None:
    """Compare the column file with the rows that the transaction of the connection reads. Return its copy if it is of
    the same moment."""
    if not path.exists():
        findings.add(path.name, "it is missing: searches of this segment are slower", MISSING_ADVICE, severity="note")
        return None
    try:
        columns = read_columns_copy(path, info.first, info.capacity)
    except ColumnFileInvalid as error:
        findings.add(path.name, str(error), REBUILD_ADVICE, severity="note", repairable=True)
        return None
    if columns.sequence != info.sequence:
        # behind after the recorder was killed, or ahead because it has written since the transaction began
        if columns.sequence < info.sequence:
            findings.add(path.name, "it is older than the rows", REBUILD_ADVICE, severity="note", repairable=True)
        return None
    count = info.next - info.first
    expected = create_in_memory(info.first, info.capacity)
    with expected.change(info.sequence):
        write_chunks(expected, iter_rows(connection, NARROW_SELECT))
    live = expected["live"][:count] == 1
    if not np.array_equal(columns["live"][:count] == 1, live):
        findings.add(path.name, "its rows are not those of the segment", REBUILD_ADVICE, repairable=True)
        return None
    differing = [
        name
        for name in COLUMN_TYPES
        if name not in _OTHER_COLUMNS
        and not np.array_equal(
            columns[name][:count][live], expected[name][:count][live], equal_nan=name in REAL_COLUMNS
        )
    ]
    if differing:
        problem = f"its values of {', '.join(differing)} differ from the rows"
        findings.add(path.name, problem, REBUILD_ADVICE, repairable=True)
        return None
    _check_orders(columns, count, path.name, findings)
    return columns


def _check_orders(columns: Columns, count: int, name: str, findings: FindingList) -> None:
    for key in SORTED_KEYS:
        order = columns.order(key)
        if order is None:
            return
        slots = order[:count]
        is_wrong = not np.array_equal(np.sort(slots), np.arange(count, dtype=slots.dtype))
        if not is_wrong and key in REAL_COLUMNS:
            live = columns["live"][:count] == 1
            values = np.where(live, columns[key][:count], np.nan)[slots]
            known = values[~np.isnan(values)]
            is_wrong = bool(np.any(known[1:] < known[:-1])) or bool(np.any(np.isnan(values[: len(known)])))
        if is_wrong:
            findings.add(name, f"its order by {key} is wrong", REBUILD_ADVICE, repairable=True)


class TextIndexCheck:
    """Checks the blocks of the text index, then whether they contain the texts of rows."""

    def __init__(self, directory: StoreDirectory, findings: FindingList) -> None:
        self._findings = findings
        self._path = directory.text_path
        self._blocks: dict[int, IndexBlock] = {}
        generation = read_generation(self._path)
        self._generation = "" if generation is None else generation.name
        self._random = random.Random(1)  # noqa: S311 - a sample
        if generation is None:
            if self._path.exists():
                problem = "the text index is not usable: the store is a copy, or the file is damaged"
                findings.add("text/mark.json", problem, REBUILD_ADVICE, severity="note", repairable=True)
            return
        for number in list_block_numbers(self._path):
            self._check_block(number)

    def _check_block(self, number: int) -> None:
        path = block_path(self._path, number)
        name = f"text/{path.name}"
        try:
            damage = find_damage(path)
            if damage is None:
                with translate_errors(path):
                    self._blocks[number] = IndexBlock(number, path, open_index(path), read_bounds(path))
        except (OSError, TextIndexError) as error:
            if not path.exists():
                return  # removed with its rows
            damage = str(error)
        if damage is not None:
            self._findings.add(name, damage, REBUILD_ADVICE, repairable=True)

    def check_rows(self, connection: apsw.Connection, columns: Columns, info: SegmentInfo) -> None:
        """Look up the texts of some rows that are marked as indexed, and of some that are in the template file."""
        self._check_templates(connection, columns, info)
        if columns.generation != self._generation or not self._blocks:
            return
        count = info.next - info.first
        is_indexed = (columns["live"][:count] == 1) & (columns["text_version"][:count] == columns["version"][:count])
        is_indexed &= np.isin(columns["text_block"][:count], list(self._blocks))
        slots: list[Any] = np.flatnonzero(is_indexed).tolist()
        for slot in self._random.sample(slots, min(len(slots), _SAMPLED_ROWS)):
            self._check_row(connection, info.first + slot, int(columns["text_block"][slot]))

    def _check_row(self, connection: apsw.Connection, key: int, number: int) -> None:
        if number == NOT_INDEXED_BLOCK:
            return
        (texts,) = fetch_rows(connection, f"SELECT {', '.join(INDEXED_COLUMNS)} FROM task WHERE id=?", (key,))
        for text in filter(None, texts):
            trigrams = split_trigrams(str(text)[:_SAMPLE_CHARACTERS]) if len(text) >= MIN_SEARCH_LENGTH else ()
            if not trigrams:
                continue
            try:
                keys, _ = self._blocks[number].search(trigrams, 1, key, key + 1)
            except TextIndexError as error:
                self._findings.add(f"text/{number:06d}", str(error), REBUILD_ADVICE, repairable=True)
                return
            if key not in keys.tolist():
                problem = f"it does not contain the text of row {key}"
                self._findings.add(f"text/{number:06d}", problem, REBUILD_ADVICE, repairable=True)
                return

    def _check_templates(self, connection: apsw.Connection, columns: Columns, info: SegmentInfo) -> None:
        path = template_path(self._path, info.number)
        name = f"text/{path.name}"
        if not path.exists():
            return
        try:
            content = read_templates(path)
        except TemplateFileInvalid as error:
            if path.exists():  # otherwise it was removed with its rows
                self._findings.add(name, str(error), REBUILD_ADVICE, repairable=True)
            return
        if (content.generation, content.columns_id) != (self._generation, columns.instance_id):
            return
        count = min(content.count, info.next - info.first)
        is_current = (columns["live"][:count] == 1) & (columns["version"][:count] == content.versions[:count])
        slots: list[Any] = np.flatnonzero(is_current).tolist()
        for slot in self._random.sample(slots, min(len(slots), _SAMPLED_ROWS)):
            if not _has_templates(connection, info.first + slot, slot, content):
                problem = f"it does not have the templates of row {info.first + slot}"
                self._findings.add(name, problem, REBUILD_ADVICE, repairable=True)
                return


def _has_templates(connection: apsw.Connection, key: int, slot: int, content: SegmentTemplates) -> bool:
    (texts,) = fetch_rows(connection, f"SELECT {', '.join(TEMPLATE_COLUMNS)} FROM task WHERE id=?", (key,))
    for column, text in zip(TEMPLATE_COLUMNS, texts, strict=True):
        number = int(content.numbers[column][slot])
        (expected,) = TemplateSplitter(column, content.templates[column]).find_numbers([text])
        if UNKNOWN not in (number, expected) and number != expected:
            return False
    return True
