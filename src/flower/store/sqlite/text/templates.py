"""Text templates: texts in which numbers and ids are replaced by a mark.

Texts of tasks are generated, so that thousands of them differ only in numbers and ids and have the same template:
`{'order': 'ORD-17', 'town': 'Bergen'}` has the template `{'order': 'ord-␀', 'town': 'bergen'}`. A search compares the
search string with each template once instead of with each text. The result is exact in both directions:

- A search string in a template is in every text of the template, because a template contains all other characters of
  the text unchanged (casefolded), in their order.
- A search string is in no text of the template if one of its parts is neither in the template nor ever removed. Only
  digits and letters are removed, and the set of the removed letters is stored.

If that leaves too many templates, as with names of people, words that few texts have are removed too.

A template number is UNKNOWN for a text that is not split, because its template is rare, and ABSENT for no text.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint16]

#: columns whose texts are split
TEMPLATE_COLUMNS: Final = ("args", "kwargs", "result", "exception", "traceback")
#: numbers with a meaning, before those of the templates
UNKNOWN: Final = 0
ABSENT: Final = 1
FIRST_TEMPLATE: Final = 2

#: whether the texts of a template contain a search string
NO, POSSIBLY, YES = 0, 1, 2

MARK: Final = b"\0"
#: bytes of a text above which it is not split
_MAX_TEXT: Final = 32 * 1024
#: number and total bytes of the templates of a column in a segment
MAX_TEMPLATES: Final = 4_096
_MAX_TEMPLATE_BYTES: Final = 1 << 20
#: distinct letters in removed parts; if there are more, any letters may have been removed
_MAX_FRAGMENTS: Final = 50_000
#: texts, or lines of tracebacks, whose template is cached while a file is built
_MAX_CACHED: Final = 10_000
#: When there are too many templates, those of fewer texts than this are removed.
_MIN_TEXTS: Final = 4
#: If the first texts of a column have more templates than one for this many texts, words in less than one of
#: _MIN_WORD_TEXTS texts are removed too.
_MIN_TEXTS_PER_TEMPLATE: Final = 4
_MIN_WORD_TEXTS: Final = 100
#: minimum texts from which this is determined
_MIN_SAMPLE: Final = 200
#: A column is not split further if the remaining templates are those of less than one in this many texts.
_MIN_SHARE: Final = 10

_DIGITS: Final = b"0123456789"
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_LOWER: Final = bytes.maketrans(_LETTERS.upper(), _LETTERS)
_ZERO_DIGITS: Final = bytes.maketrans(_DIGITS, b"0" * 10)
_FOLD: Final = bytes.maketrans(_LETTERS.upper() + _DIGITS, _LETTERS + b"0" * 10)
#: A number or an id, after its digits were replaced by 0: from a digit to the end of the word, with up to three letters
#: before the first digit if these begin the word. More letters before a number are usually a word.
_VARIABLE: Final = re.compile(rb"(?<![a-z])[a-z]{0,3}0[a-z0]*|0[a-z0]*")
_WORD: Final = re.compile(rb"([a-z]+)")
#: a line of a traceback that is a position in the code: its numbers vary little
_CODE_POSITION: Final = re.compile(rb' *file "')


def fold(text: str) -> bytes:
    """Return the casefolded text in UTF-8, as templates and search strings are compared."""
    return (text if text.isascii() else text.casefold()).encode("utf-8", "surrogatepass").translate(_LOWER)


class ColumnTemplates:
    """The templates of the texts of one column in a segment."""

    def __init__(
        self,
        templates: Iterable[bytes] = (),
        fragments: bytes | None = b"",
        *,
        vocabulary: Iterable[bytes] | None = None,
        is_stopped: bool = False,
    ) -> None:
        """`fragments`: the letters in removed parts, each between line breaks; None if there are too many.
        `vocabulary`: words that are not removed; None: all. `is_stopped`: further texts are not split."""
        self.templates = list(templates)
        self.fragments = fragments
        self.vocabulary = None if vocabulary is None else frozenset(vocabulary)
        self.is_stopped = is_stopped

    def match(self, search_string: bytes) -> npt.NDArray[np.uint8]:
        """Return by template number whether the texts contain the folded search string: NO, POSSIBLY or YES."""
        states = np.full(FIRST_TEMPLATE + len(self.templates), NO, np.uint8)
        states[UNKNOWN] = POSSIBLY
        if MARK in search_string:
            states[FIRST_TEMPLATE:] = POSSIBLY
            return states
        required = self._find_required(search_string)
        for number, template in enumerate(self.templates, FIRST_TEMPLATE):
            if search_string in template:
                states[number] = YES
            elif MARK in template and all(part in template for part in required):
                states[number] = POSSIBLY
        return states

    def _find_required(self, search_string: bytes) -> list[bytes]:
        """Return the parts that the template of every text with the search string contains: no part of them is ever
        removed."""
        required: list[bytes] = []
        for part in search_string.translate(_ZERO_DIGITS).split(b"0"):
            # other characters and words alternate; only words are removed
            pieces = _WORD.split(part)
            kept = pieces[0]
            for index in range(1, len(pieces), 2):
                is_first, is_last = index == 1 and not pieces[0], index == len(pieces) - 2 and not pieces[-1]
                if self._may_be_removed(pieces[index], is_first, is_last):
                    required.append(kept)
                    kept = pieces[index + 1]
                else:
                    kept += pieces[index] + pieces[index + 1]
            required.append(kept)
        return [part for part in required if part]

    def _may_be_removed(self, word: bytes, is_first: bool, is_last: bool) -> bool:
        """Return whether this word was removed from a text. A first or last word may be a part of one in the text."""
        if self.fragments is None:
            return True
        return (b"" if is_first else b"\n") + word + (b"" if is_last else b"\n") in self.fragments


class TemplateSplitter:
    """Assigns template numbers to the texts of one column."""

    def __init__(self, column: str, known: ColumnTemplates | None = None) -> None:
        #: its lines are split one by one, because most are in many texts
        self._has_lines = column == "traceback"
        self.known = known or ColumnTemplates()
        self._numbers = {template: number for number, template in enumerate(self.known.templates, FIRST_TEMPLATE)}
        self._bytes = sum(map(len, self.known.templates))
        self._vocabulary = self.known.vocabulary
        self._fragments = None if self.known.fragments is None else set(self.known.fragments.split(b"\n"))
        self._cache: dict[bytes, int] = {}
        self._lines: dict[bytes, bytes] = {}

    @property
    def is_full(self) -> bool:
        return len(self._numbers) >= MAX_TEMPLATES or self._bytes >= _MAX_TEMPLATE_BYTES

    def learn_vocabulary(self, texts: Iterable[object]) -> None:
        """Determine from the first texts of the column whether rare words are removed, and which words are not rare."""
        folded = [fold(text) for text in texts if isinstance(text, str) and len(text) <= _MAX_TEXT]
        templates = {_VARIABLE.sub(MARK, text.translate(_ZERO_DIGITS)) for text in folded}
        if len(folded) < _MIN_SAMPLE or len(templates) * _MIN_TEXTS_PER_TEMPLATE < len(folded):
            return
        texts_by_word = Counter(word for text in folded for word in set(_WORD.findall(text)))
        self._vocabulary = frozenset(
            word for word, count in texts_by_word.items() if count * _MIN_WORD_TEXTS >= len(folded)
        )

    def find_numbers(self, texts: Iterable[object]) -> list[int]:
        """Return the number of the template of each text."""
        cache, has_lines, is_stopped = self._cache, self._has_lines, self.known.is_stopped
        numbers = []
        for text in texts:
            if text is None:
                numbers.append(ABSENT)
            # a damaged row can contain values of other types
            elif type(text) is not str or is_stopped or len(text) > _MAX_TEXT:
                numbers.append(UNKNOWN)
            elif has_lines:
                numbers.append(self._number(self._split_lines(fold(text))))
            else:
                folded = (text if text.isascii() else text.casefold()).encode("utf-8", "surrogatepass").translate(_FOLD)
                number = cache.get(folded)
                numbers.append(self._find_new(folded) if number is None else number)
        return numbers

    def _find_new(self, folded: bytes) -> int:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        number = self._cache[folded] = self._number(self._replace_variables(folded))
        return number

    def _split_lines(self, folded: bytes) -> bytes:
        """Positions in the code keep their digits. Other lines are cached without theirs, which differ in each text."""
        lines = self._lines
        if len(lines) >= _MAX_CACHED:
            lines.clear()
        parts = folded.split(b"\n")
        for index, line in enumerate(folded.translate(_ZERO_DIGITS).split(b"\n")):
            template = lines.get(line)
            if template is None:
                template = lines[line] = b"" if _CODE_POSITION.match(line) else self._replace_variables(line)
            if template:
                parts[index] = template
        return b"\n".join(parts)

    def _replace_variables(self, folded: bytes) -> bytes:
        variables = _VARIABLE.findall(folded)
        template = _VARIABLE.sub(MARK, folded)
        vocabulary = self._vocabulary
        if vocabulary is not None:
            variables += [word for word in _WORD.findall(template) if word not in vocabulary]
            template = _WORD.sub(lambda word: word[0] if word[0] in vocabulary else MARK, template)
        if self._fragments is not None:
            for variable in variables:
                if variable.strip(b"0"):
                    self._fragments.update(variable.split(b"0"))
            if len(self._fragments) > _MAX_FRAGMENTS:
                self._fragments = None
        return template

    def _number(self, template: bytes) -> int:
        number = self._numbers.get(template)
        if number is None:
            if self.is_full:
                return UNKNOWN
            number = self._numbers[template] = FIRST_TEMPLATE + len(self._numbers)
            self._bytes += len(template)
        return number

    def remove_rare(self, numbers: Numbers) -> Numbers:
        """Remove the templates of few of these texts; return the numbers of the texts after it."""
        texts = np.bincount(numbers, minlength=FIRST_TEMPLATE + len(self._numbers))
        new_numbers = np.zeros(len(texts), np.uint16)
        new_numbers[ABSENT] = ABSENT
        kept = [template for template, number in self._numbers.items() if texts[number] >= _MIN_TEXTS]
        new_numbers[[self._numbers[template] for template in kept]] = np.arange(len(kept)) + FIRST_TEMPLATE
        result: Numbers = new_numbers[numbers]
        self._numbers = {template: number for number, template in enumerate(kept, FIRST_TEMPLATE)}
        self._bytes = sum(map(len, kept))
        self._cache.clear()
        split = np.count_nonzero(result >= FIRST_TEMPLATE)
        # splitting further texts would cost more than it saves
        self.known.is_stopped = bool(split * _MIN_SHARE < np.count_nonzero(numbers != ABSENT))
        return result

    def result(self) -> ColumnTemplates:
        fragments = None
        if self._fragments is not None:
            fragments = b"\n" + b"".join(fragment + b"\n" for fragment in sorted(self._fragments) if fragment)
        return ColumnTemplates(self._numbers, fragments, vocabulary=self._vocabulary, is_stopped=self.known.is_stopped)
