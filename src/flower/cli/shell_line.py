"""Splits the command line that a user is typing into words, as a shell does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypedLine:
    """The complete words before the cursor, and the incomplete one without its quotes. `quote` is the open quote."""

    words: tuple[str, ...]
    incomplete: str
    quote: str


def split_line(line: str) -> TypedLine:
    """The words of a line that ends at the cursor."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(line)
    for character in characters:
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"':
                word = (word or "") + next(characters, "")
            else:
                word = (word or "") + character
        elif character in "'\"":
            quote, word = character, word or ""
        elif character == "\\":
            word = (word or "") + next(characters, "")
        elif character.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
    return TypedLine(tuple(words), word or "", quote)
