"""Text → tokens → tree: the search language, a superset of Flower 2.2's.

    query  = either                              either = both { "OR" both }
    both   = one { ["AND"] one }                 one    = { "NOT" | "-" } ( term | "(" either ")" )
    term   = [ subject ":" ] value               value  = characters and "quoted phrases", glued together
    subject = field { "." key } | "is" | "has"

Operators are upper case; `and`, `or` and `not` are words. `\\"` and `\\\\` stand for the character itself. Only
a field of the table (in any case, and unquoted) makes a qualifier: any other `x:y` is text with a colon in it, and so
is a phrase. What a value means is said in `qualified`. Errors point at a character of the trimmed query.
"""

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, TypeAlias

from flower.errors import SearchError
from flower.search.fields import ALIASES, FIELDS, Field, field_named
from flower.search.nearest import did_you_mean, nearest
from flower.search.qualified import FLOWERS, SPECIAL, either, keys_of, read, read_condition, read_path, read_presence
from flower.search.times import Clock, clock
from flower.search.tree import EVERYTHING, Node, Not, Term, all_of, any_of
from flower.search.written import Written, read_word

MAX_LENGTH = 2048
MAX_TOKENS = 128
#: Open parentheses at one place. (Flower stops at 5.)
MAX_DEPTH = 20

_Kind: TypeAlias = Literal["term", "AND", "OR", "NOT", "-", "(", ")", "end"]
_WORDS: dict[str, _Kind] = {"AND": "AND", "OR": "OR", "NOT": "NOT"}
#: What would be compared, if there were such a field.
_COMPARED = re.compile(r"[A-Za-z_][\w.]*:(?:[<>]=?)[-+]?\d")
_SUBJECT = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    kind: _Kind
    text: str
    position: int
    word: Written | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A part of a query that is valid, but may not mean what was meant."""

    position: int
    message: str


def parse(query: str | None, now: float | None = None, zone: tzinfo | None = None) -> Node:
    """The tree of a query; nothing asked for is everything. Relative times count from `now` (epoch seconds; None: the
    present), times without a zone are those of `zone` (None: the local one). Raises SearchError."""
    return _Parser(tokens_of(query), clock(now, zone)).query()


def warnings(query: str | None) -> list[Notice]:
    """What of a valid query is read as text and looks like more. Raises SearchError."""
    parse(query)
    found = (_notice(token.word) for token in tokens_of(query) if token.word is not None and token.kind == "term")
    return [notice for notice in found if notice is not None]


def tokens_of(query: str | None) -> list[Token]:
    text = (query or "").strip()
    if len(text) > MAX_LENGTH:
        raise SearchError(f"Query exceeds {MAX_LENGTH} characters.")
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        token, index = _token(text, index)
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise SearchError(f"Query exceeds {MAX_TOKENS} tokens.")
    tokens.append(Token("end", "", len(text)))
    return tokens


def _token(text: str, index: int) -> tuple[Token, int]:
    """The token that begins here, and where it ends."""
    match text[index]:
        case "(":
            return Token("(", "(", index), index + 1
        case ")":
            return Token(")", ")", index), index + 1
        case "-":
            _check_negation(text, index)
            return Token("-", "-", index), index + 1
    return _word(text, index)


def _check_negation(text: str, index: int) -> None:
    after = text[index + 1 : index + 2]
    if not after or after.isspace() or after == ")":
        hint = 'it stands right before what shall not be; to find a dash, quote it: "-"'
        raise SearchError("'-' must be followed by a search term", index, hint=hint)
    if after == "-":
        raise SearchError("Unexpected '-'", index + 1, hint='to find text that begins with a dash, quote it: "--all"')


def _word(text: str, start: int) -> tuple[Token, int]:
    word, index, opened = read_word(text, start)
    if opened is not None:
        raise SearchError("Unterminated quoted phrase", start, hint=f'the " at {opened} has no partner; \\" finds one')
    if not word.text:
        raise SearchError("Empty search term", start, hint="put something between the quotes")
    kind = _WORDS.get(word.bare, "term")
    return Token(kind, word.text, start, word), index


class _Parser:
    def __init__(self, tokens: list[Token], at: Clock) -> None:
        self._tokens = tokens
        self._clock = at
        self._index = 0
        #: tokens, where each part of a list counts as one
        self._count = len(tokens) - 1

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

    def _next(self) -> Token:
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
        if token.kind != "term" or token.word is None:
            hint = f'to find the word, quote it: "{token.text}"' if token.text else ""
            raise SearchError("Expected a search term", token.position, hint=hint)
        nodes = _terms(token.word, self._clock)
        self._count += len(nodes) - 1
        if self._count > MAX_TOKENS:
            raise SearchError(f"Query exceeds {MAX_TOKENS} tokens.")
        return either(nodes)

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


def _terms(word: Written, at: Clock) -> list[Node]:
    """The terms of which one must hold."""
    colon = word.bare.find(":")
    if colon < 0:
        return [Term("", "contains", word.text)]
    subject, value = word.part(0, colon), word.part(colon + 1)
    name = subject.text.casefold() if subject.bare == subject.text else ""
    head, *keys = subject.split(".")
    field = field_named(head.text) if head.bare == head.text else None
    if field is None and name not in SPECIAL:
        _check_unknown(subject, word)
        return [Term("", "contains", word.text)]
    if keys and (field is None or not field.keys):
        return [Term("", "contains", word.text)]  # Flower's `x:y`, and nothing of ours
    example = field.example if field else "is:failed" if name == "is" else "has:traceback"
    if not value.text:
        hint = f'for example {example}; to find the text, quote it: "{word.text}"'
        raise SearchError("Search qualifier requires a value", word.position, hint=hint)
    return _qualified(field, name, keys, value, at)


def _qualified(field: Field | None, name: str, keys: list[Written], value: Written, at: Clock) -> list[Node]:
    if field is None:
        return read_condition(value) if name == "is" else read_presence(value)
    return read_path(field, keys_of(field, keys), value) if keys else read(field, value, at)


def _check_unknown(subject: Written, word: Written) -> None:
    """Text that compares has a field in mind."""
    if _COMPARED.match(word.bare):
        hint = f'{did_you_mean(subject.text, _NAMES, ":")}; to find the text, quote it: "{word.text}"'
        raise SearchError(f"There is no field '{subject.text}'", word.position, hint=hint)


def _notice(word: Written) -> Notice | None:
    if word.bare in ("and", "or", "not"):
        return Notice(word.position, f"'{word.bare}' is searched as a word; the operator is {word.bare.upper()}")
    colon = word.bare.find(":")
    subject = word.text[: max(colon, 0)]
    if not _SUBJECT.fullmatch(word.bare[: max(colon, 0)]) or subject.casefold() in SPECIAL:
        return None
    head, _, keys = subject.partition(".")
    field = field_named(head)
    if field is None:
        if word.bare[colon:].startswith("://"):
            return None
        known = nearest(head, _NAMES)
        meant = f"; did you mean {known}:?" if known else ""
        return Notice(word.position, f"there is no field '{subject}': it is searched as text{meant}")
    if keys and not field.keys:
        return Notice(word.position, f"'{field.name}' has no keys: '{subject}:' is searched as text")
    if not keys and field.name in FLOWERS and word.bare[colon + 1 :].startswith(("<", ">")):
        return Notice(word.position + colon + 1, f"'{field.name}' cannot be compared: the sign is searched as text")
    return None


_NAMES = (*FIELDS, *ALIASES, *SPECIAL)
