"""Text → tokens → tree: the search language, a superset of Flower 2.2's.

    query  = either                              either = both { "OR" both }
    both   = one { ["AND"] one }                 one    = { "NOT" | "-" } ( term | "(" either ")" )
    term   = [ field ":" ] value                 value  = characters and "quoted phrases", glued together

Operators are upper case; `and`, `or` and `not` are words. `\\"` and `\\\\` stand for the character itself. Only
a field of the table (in any case, and unquoted) makes a qualifier: any other `x:y` is text with a colon in it, and so
is a phrase. Errors point at a character of the trimmed query.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from flower.errors import SearchError
from flower.search.qualified import field_named, read
from flower.search.tree import EVERYTHING, Node, Not, Term, all_of, any_of

MAX_LENGTH = 2048
MAX_TOKENS = 128
#: Open parentheses at one place. (Flower stops at 5.)
MAX_DEPTH = 20

_Kind: TypeAlias = Literal["term", "AND", "OR", "NOT", "-", "(", ")", "end"]
_WORDS: dict[str, _Kind] = {"AND": "AND", "OR": "OR", "NOT": "NOT"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str
    position: int
    #: how many characters of the text come before the first quoted or escaped one
    bare: int = 0


def parse(query: str | None) -> Node:
    """The tree of a query; nothing asked for is everything. Raises SearchError."""
    text = (query or "").strip()
    if len(text) > MAX_LENGTH:
        raise SearchError(f"Query exceeds {MAX_LENGTH} characters.")
    return _Parser(_tokens(text)).query()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        token, index = _token(text, index)
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise SearchError(f"Query exceeds {MAX_TOKENS} tokens.")
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _token(text: str, index: int) -> tuple[_Token, int]:
    """The token that begins here, and where it ends."""
    match text[index]:
        case "(":
            return _Token("(", "(", index), index + 1
        case ")":
            return _Token(")", ")", index), index + 1
        case "-":
            _check_negation(text, index)
            return _Token("-", "-", index), index + 1
    return _word(text, index)


def _check_negation(text: str, index: int) -> None:
    after = text[index + 1 : index + 2]
    if not after or after.isspace() or after == ")":
        hint = 'it stands right before what shall not be; to find a dash, quote it: "-"'
        raise SearchError("'-' must be followed by a search term", index, hint=hint)
    if after == "-":
        raise SearchError("Unexpected '-'", index + 1, hint='to find text that begins with a dash, quote it: "--all"')


def _word(text: str, start: int) -> tuple[_Token, int]:
    characters: list[str] = []
    bare: int | None = None
    opened: int | None = None
    index = start
    while index < len(text):
        character = text[index]
        escaped = character == "\\" and text[index + 1 : index + 2] in ("\\", '"')
        if bare is None and (escaped or character == '"'):
            bare = len(characters)
        if escaped:
            characters.append(text[index + 1])
            index += 2
            continue
        if character == '"':
            opened = index if opened is None else None
        elif opened is None and (character.isspace() or character in "()"):
            break
        else:
            characters.append(character)
        index += 1
    if opened is not None:
        raise SearchError("Unterminated quoted phrase", start, hint=f'the " at {opened} has no partner; \\" finds one')
    word = "".join(characters)
    if not word:
        raise SearchError("Empty search term", start, hint="put something between the quotes")
    kind = _WORDS.get(word, "term") if bare is None else "term"
    return _Token(kind, word, start, len(word) if bare is None else bare), index


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._index = 0

    def query(self) -> Node:
        if self._at("end"):
            return EVERYTHING
        node = self._either(0)
        if not self._at("end"):
            token = self._next()
            raise SearchError(f"Unexpected '{token.text}'", token.position, hint="no parenthesis is open here")
        return node

    def _at(self, *kinds: _Kind) -> bool:
        return self._tokens[self._index].kind in kinds

    def _next(self) -> _Token:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _either(self, depth: int) -> Node:
        nodes = [self._both(depth)]
        while self._at("OR"):
            self._operator()
            nodes.append(self._both(depth))
        return any_of(nodes)

    def _both(self, depth: int) -> Node:
        nodes = [self._one(depth)]
        while not self._at("end", ")", "OR"):
            if self._at("AND"):
                self._operator()
            nodes.append(self._one(depth))
        return all_of(nodes)

    def _operator(self) -> None:
        """Go past AND, OR, NOT or '-'. What comes next must be able to begin a term."""
        token = self._next()
        if self._at("end", ")", "AND", "OR"):
            name = "'-'" if token.kind == "-" else token.kind
            hint = f'to find the text, quote it: "{token.text}"'
            raise SearchError(f"{name} must be followed by a search term", token.position, hint=hint)

    def _one(self, depth: int) -> Node:
        if self._at("NOT", "-"):
            self._operator()
            return Not(self._one(depth))
        if self._at("("):
            return self._group(depth)
        token = self._next()
        if token.kind != "term":
            hint = f'to find the word, quote it: "{token.text}"' if token.text else ""
            raise SearchError("Expected a search term", token.position, hint=hint)
        return _term(token)

    def _group(self, depth: int) -> Node:
        opening = self._next()
        if depth >= MAX_DEPTH:
            raise SearchError(f"Query nesting exceeds {MAX_DEPTH} levels", opening.position)
        if self._at(")"):
            raise SearchError("Empty group", opening.position, hint='to find parentheses, quote them: "()"')
        node = self._either(depth + 1)
        if not self._at(")"):
            hint = 'to find a parenthesis, quote it: "("'
            raise SearchError("Missing closing parenthesis", opening.position, hint=hint)
        self._next()
        return node


def _term(token: _Token) -> Term:
    word, colon, value = token.text.partition(":")
    field = field_named(word) if colon and len(word) < token.bare else None
    if field is None:
        return Term("", "contains", token.text)
    if not value:
        raise SearchError("Search qualifier requires a value", token.position, hint=f"for example {field.example}")
    try:
        return read(field, value)
    except ValueError as error:
        hint = f'for example {field.example}; to find the text, quote it: "{token.text}"'
        raise SearchError(str(error), token.position + len(word) + 1, hint=hint) from None
