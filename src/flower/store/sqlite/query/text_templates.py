"""Evaluates a search string on the text templates of a segment: rows that contain it, and rows that have to be read."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from cachetools import LRUCache

from flower.store.sqlite.text.generation import read_generation
from flower.store.sqlite.text.template_file import SegmentTemplates, TemplateFileInvalid, read_templates, template_path
from flower.store.sqlite.text.templates import NO, POSSIBLY, YES, fold

if TYPE_CHECKING:
    from flower.store.sqlite.query.context import SegmentView

#: bytes of the cached files: those of a dozen segments; reading a file from the page cache takes 0.2 ms
_MAX_CACHED_BYTES: Final = 8 << 20
#: minimum bytes that a cached file counts
_MIN_CACHED_FILE: Final = 4_096

#: inode, modification time and size of a file
_Stamp = tuple[int, int, int]


class TemplateCache:
    """Template files of the text index. A missing or invalid file is the same as no file. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._files: LRUCache[int, tuple[_Stamp, SegmentTemplates]] = LRUCache(
            _MAX_CACHED_BYTES, getsizeof=lambda entry: max(entry[1].size, _MIN_CACHED_FILE)
        )
        #: by segment, the file that was found to be intact, or not
        self._verified: dict[int, tuple[_Stamp, bool]] = {}

    def read_generation(self) -> str:
        """Return the generation of the text index; empty if the index is not usable."""
        try:
            generation = read_generation(self._directory)
        except OSError:
            return ""
        return "" if generation is None else generation.name

    def load(self, number: int) -> SegmentTemplates | None:
        """Return the templates of a segment; None if there are none."""
        path = template_path(self._directory, number)
        try:
            status = os.stat(path)
        except OSError:
            return None
        stamp = status.st_ino, status.st_mtime_ns, status.st_size
        with self._lock:
            cached = self._files.get(number)
            verified_stamp, is_intact = self._verified.get(number, (None, False))
        if cached is not None and cached[0] == stamp:
            return cached[1]
        is_verified = verified_stamp == stamp
        if is_verified and not is_intact:
            return None
        try:
            content = read_templates(path, verify=not is_verified)
        except TemplateFileInvalid:
            content = None
        with self._lock:
            self._verified[number] = stamp, content is not None
            if content is not None and content.size <= _MAX_CACHED_BYTES:
                self._files[number] = stamp, content
        return content


class TemplateMatches(NamedTuple):
    """Masks over the slots of a view: rows that contain the text, and rows that templates do not decide."""

    definite: Any
    undecided: Any


def match_templates(view: "SegmentView", text: str, columns: tuple[str, ...]) -> TemplateMatches | None:
    """Return which rows contain a text in one of these columns, ignoring case; None without templates."""
    key = fold(text), columns
    if key not in view.template_matches:
        view.template_matches[key] = _match(view, *key)
    matches: TemplateMatches | None = view.template_matches[key]
    return matches


def _match(view: "SegmentView", search_string: bytes, columns: tuple[str, ...]) -> TemplateMatches | None:
    generation = view.ctx.index_generation
    if not generation:
        return None
    content = view.ctx.resources.templates.load(view.segment.number)
    if content is None or (content.generation, content.columns_id) != (generation, view.columns.instance_id):
        return None
    count = min(view.count, content.count)
    result = np.full(count, NO, np.uint8)
    for name in columns:
        states = content.templates[name].match(search_string)
        if states.any():
            np.maximum(result, states[content.numbers[name][:count]], out=result)
    is_current = content.versions[:count] == view.column("version")[:count]
    definite, undecided = np.zeros(view.count, bool), np.ones(view.count, bool)
    definite[:count] = is_current & (result == YES)
    undecided[:count] = ~is_current | (result == POSSIBLY)
    undecided &= view.column("live").view(bool)
    return TemplateMatches(definite, undecided)
