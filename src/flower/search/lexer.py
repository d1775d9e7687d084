"""What was typed, without its quotes, and what of it was quoted: signs in quotes are text."""

from dataclasses import dataclass
from typing import Final

#: Stands in `bare` where a character was quoted. No sign of the language is it.
_QUOTED: Final = "\0"


@dataclass(frozen=True, slots=True)
class QuotedWord:
    """`bare` is `text` with the quoted characters blotted out; `places` are the positions of its characters in the
    query, and the one after the last."""

    text: str
    syntax: str
    positions: tuple[int, ...]

    @property
    def position(self) -> int:
        return self.positions[0]

    def section(self, start: int, end: int | None = None) -> "QuotedWord":
        stop = len(self.text) if end is None else end
        return QuotedWord(self.text[start:stop], self.syntax[start:stop], self.positions[start : stop + 1])

    def split(self, sign: str) -> list["QuotedWord"]:
        """The parts between the signs that are not quoted."""
        parts: list[QuotedWord] = []
        start = 0
        for piece in self.syntax.split(sign):
            parts.append(self.section(start, start + len(piece)))
            start += len(piece) + len(sign)
        return parts


def read_word(text: str, start: int) -> tuple[QuotedWord, int, int | None]:
    """The word that begins here, where it ends, and where a quote was opened that nobody closes."""
    characters: list[str] = []
    bare: list[str] = []
    places: list[int] = []
    opened: int | None = None
    index = start
    while index < len(text):
        character = text[index]
        escaped = character == "\\" and text[index + 1 : index + 2] in ("\\", '"')
        if character == '"':
            opened = index if opened is None else None
        elif opened is None and not escaped and (character.isspace() or character in "()"):
            break
        else:
            places.append(index)
            characters.append(text[index + 1] if escaped else character)
            bare.append(_QUOTED if escaped or opened is not None else character)
        index += 2 if escaped else 1
    return QuotedWord("".join(characters), "".join(bare), (*places, index)), index, opened
