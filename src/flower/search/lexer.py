"""Lexer of words and quoted phrases. Operators inside quotes are text."""

from dataclasses import dataclass
from typing import Final

#: Replaces quoted characters in `syntax`; it is not a character of the language.
_QUOTED: Final = "\0"


@dataclass(frozen=True, slots=True)
class QuotedWord:
    """A word without its quotes. `syntax` is `text` with the quoted characters replaced by NUL; `positions` are the
    indexes of the characters in the query, followed by the index after the last one."""

    text: str
    syntax: str
    positions: tuple[int, ...]

    @property
    def position(self) -> int:
        """The index of the first character in the query."""
        return self.positions[0]

    def section(self, start: int, end: int | None = None) -> "QuotedWord":
        """The characters from `start` to `end`."""
        stop = len(self.text) if end is None else end
        return QuotedWord(self.text[start:stop], self.syntax[start:stop], self.positions[start : stop + 1])

    def split(self, separator: str) -> list["QuotedWord"]:
        """The parts between the unquoted separators."""
        parts: list[QuotedWord] = []
        start = 0
        for piece in self.syntax.split(separator):
            parts.append(self.section(start, start + len(piece)))
            start += len(piece) + len(separator)
        return parts


def read_word(text: str, start: int) -> tuple[QuotedWord, int, int | None]:
    """The word at `start`, the index after it, and the index of an unclosed quote (None if there is none)."""
    characters: list[str] = []
    syntax: list[str] = []
    positions: list[int] = []
    quote_start: int | None = None
    index = start
    while index < len(text):
        character = text[index]
        escaped = character == "\\" and text[index + 1 : index + 2] in ("\\", '"')
        if character == '"':
            quote_start = index if quote_start is None else None
        elif quote_start is None and not escaped and (character.isspace() or character in "()"):
            break
        else:
            positions.append(index)
            characters.append(text[index + 1] if escaped else character)
            syntax.append(_QUOTED if escaped or quote_start is not None else character)
        index += 2 if escaped else 1
    return QuotedWord("".join(characters), "".join(syntax), (*positions, index)), index, quote_start
