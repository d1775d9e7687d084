"""Parser of the search language, a superset of that of Flower 2.2: text → tokens → tree.

    query   = or                           or      = and { "OR" and }
    and     = unary { ["AND"] unary }      unary   = { "NOT" | "-" } ( term | "(" or ")" )
    term    = [ subject ":" ] value        value   = adjacent characters and "quoted phrases"
    subject = field { "." key } | "is" | "has"

Operators are upper case; `and`, `or` and `not` are words. `\\"` and `\\\\` are the escaped characters. Only a
field of the table (case-insensitive, unquoted) is a qualifier: any other `x:y` is text with a colon, and so is a quoted
phrase. `field_parser` parses the values. The position of an error is an index in the trimmed query.
"""

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, TypeAlias

from flower.errors import SearchError
from flower.search.did_you_mean import did_you_mean
from flower.search.field_parser import (
    SPECIAL_QUALIFIERS,
    combine_alternatives,
    parse_condition,
    parse_field_value,
    parse_keys,
    parse_path_value,
    parse_presence,
)
from flower.search.fields import ALIASES, FIELDS, Field, find_field
from flower.search.lexer import QuotedWord, read_word
from flower.search.time_parser import TimeContext, time_context
from flower.search.tree import EVERYTHING, Node, Not, Term, all_of, any_of

MAX_QUERY_LENGTH = 2048
MAX_QUERY_TOKENS = 128
#: Maximum nesting of parentheses. (Flower: 5.)
MAX_QUERY_DEPTH = 20

_TokenKind: TypeAlias = Literal["term", "AND", "OR", "NOT", "-", "(", ")", "end"]
_KEYWORDS: dict[str, _TokenKind] = {"AND": "AND", "OR": "OR", "NOT": "NOT"}
#: A comparison, if the subject were a field.
_COMPARISON_LIKE = re.compile(r"[A-Za-z_][\w.]*:(?:[<>]=?)[-+]?\d")


@dataclass(frozen=True, slots=True)
class QueryToken:
    """A token; `word` is set for terms and words."""

    kind: _TokenKind
    text: str
    position: int
    word: QuotedWord | None = None


def parse_search(query: str | None, now: float | None = None, zone: tzinfo | None = None) -> Node:
    """The tree of a query; an empty query matches every task. Relative times are relative to `now` (epoch seconds;
    None: the present), times without a zone are in `zone` (None: the local one). Raises SearchError."""
    return _Parser(tokenize_query(query), time_context(now, zone)).parse_all()


def tokenize_query(query: str | None) -> list[QueryToken]:
    """The tokens of a query, ending with an "end" token. Raises SearchError."""
    text = (query or "").strip()
    if len(text) > MAX_QUERY_LENGTH:
        raise SearchError(f"Query exceeds {MAX_QUERY_LENGTH} characters.")
    tokens: list[QueryToken] = []
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        token, index = _read_token(text, index)
        tokens.append(token)
        if len(tokens) > MAX_QUERY_TOKENS:
            raise SearchError(f"Query exceeds {MAX_QUERY_TOKENS} tokens.")
    tokens.append(QueryToken("end", "", len(text)))
    return tokens


def _read_token(text: str, index: int) -> tuple[QueryToken, int]:
    """The token at `index`, and the index after it."""
    match text[index]:
        case "(":
            return QueryToken("(", "(", index), index + 1
        case ")":
            return QueryToken(")", ")", index), index + 1
        case "-":
            _check_negation(text, index)
            return QueryToken("-", "-", index), index + 1
    return _read_word_token(text, index)


def _check_negation(text: str, index: int) -> None:
    after = text[index + 1 : index + 2]
    if not after or after.isspace() or after == ")":
        hint = 'place it directly before the term to exclude; to search for a dash, quote it: "-"'
        raise SearchError("'-' must be followed by a search term", index, hint=hint)
    if after == "-":
        raise SearchError(
            "Unexpected '-'", index + 1, hint='to search for text that begins with a dash, quote it: "--all"'
        )


def _read_word_token(text: str, start: int) -> tuple[QueryToken, int]:
    word, index, quote_start = read_word(text, start)
    if quote_start is not None:
        raise SearchError(
            "Unterminated quoted phrase",
            start,
            hint=f'unclosed quote at {quote_start}; to search for a quote, escape it: \\"',
        )
    if not word.text:
        raise SearchError("Empty search term", start, hint="add text between the quotes")
    kind = _KEYWORDS.get(word.syntax, "term")
    return QueryToken(kind, word.text, start, word), index


class _Parser:
    def __init__(self, tokens: list[QueryToken], context: TimeContext) -> None:
        self._tokens = tokens
        self._clock = context
        self._index = 0
        #: number of tokens; each value of a list counts as one
        self._count = len(tokens) - 1

    def parse_all(self) -> Node:
        if self._at("end"):
            return EVERYTHING
        node = self._parse_or(0)
        if not self._at("end"):
            token = self._next()
            raise SearchError(
                f"Unexpected '{token.text}'",
                token.position,
                hint=f'no parenthesis is open; to search for one, quote it: "{token.text}"',
            )
        return node

    def _at(self, *kinds: _TokenKind) -> bool:
        return self._tokens[self._index].kind in kinds

    def _next(self) -> QueryToken:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _parse_or(self, depth: int) -> Node:
        nodes = [self._parse_and(depth)]
        while self._at("OR"):
            self._consume_operator()
            nodes.append(self._parse_and(depth))
        return any_of(nodes)

    def _parse_and(self, depth: int) -> Node:
        nodes = [self._parse_unary(depth)]
        while not self._at("end", ")", "OR"):
            if self._at("AND"):
                self._consume_operator()
            nodes.append(self._parse_unary(depth))
        return all_of(nodes)

    def _consume_operator(self) -> None:
        """Consume AND, OR, NOT or '-'. The next token must begin a term."""
        token = self._next()
        if self._at("end", ")", "AND", "OR"):
            name = "'-'" if token.kind == "-" else token.kind
            hint = f'to search for the text, quote it: "{token.text}"'
            raise SearchError(f"{name} must be followed by a search term", token.position, hint=hint)

    def _parse_unary(self, depth: int) -> Node:
        if self._at("NOT", "-"):
            self._consume_operator()
            return Not(self._parse_unary(depth))
        if self._at("("):
            return self._parse_group(depth)
        token = self._next()
        if token.kind != "term" or token.word is None:
            hint = f'to search for the word, quote it: "{token.text}"' if token.text else ""
            raise SearchError("Expected a search term", token.position, hint=hint)
        nodes = _parse_word_terms(token.word, self._clock)
        self._count += len(nodes) - 1
        if self._count > MAX_QUERY_TOKENS:
            raise SearchError(f"Query exceeds {MAX_QUERY_TOKENS} tokens.")
        return combine_alternatives(nodes)

    def _parse_group(self, depth: int) -> Node:
        opening = self._next()
        if depth >= MAX_QUERY_DEPTH:
            raise SearchError(f"Query nesting exceeds {MAX_QUERY_DEPTH} levels", opening.position)
        if self._at(")"):
            raise SearchError("Empty group", opening.position, hint='to search for parentheses, quote them: "()"')
        node = self._parse_or(depth + 1)
        if not self._at(")"):
            hint = 'to search for a parenthesis, quote it: "("'
            raise SearchError("Missing closing parenthesis", opening.position, hint=hint)
        self._next()
        return node


def _parse_word_terms(word: QuotedWord, context: TimeContext) -> list[Node]:
    """Terms of which one must match."""
    colon = word.syntax.find(":")
    if colon < 0:
        return [Term("", "contains", word.text)]
    subject, value = word.section(0, colon), word.section(colon + 1)
    name = subject.text.casefold() if subject.syntax == subject.text else ""
    head, *keys = subject.split(".")
    field = find_field(head.text) if head.syntax == head.text else None
    if field is None and name not in SPECIAL_QUALIFIERS:
        _check_unknown(subject, word)
        return [Term("", "contains", word.text)]
    if keys and (field is None or not field.has_keys):
        return [Term("", "contains", word.text)]  # text, as `x:y` in Flower
    example = field.example if field else "is:failed" if name == "is" else "has:traceback"
    if not value.text:
        hint = f'for example {example}; to search for the text, quote it: "{word.text}"'
        raise SearchError("Search qualifier requires a value", word.position, hint=hint)
    return _parse_qualified(field, name, keys, value, context)


def _parse_qualified(
    field: Field | None, name: str, keys: list[QuotedWord], value: QuotedWord, context: TimeContext
) -> list[Node]:
    if field is None:
        return parse_condition(value) if name == "is" else parse_presence(value)
    return parse_path_value(field, parse_keys(field, keys), value) if keys else parse_field_value(field, value, context)


def _check_unknown(subject: QuotedWord, word: QuotedWord) -> None:
    """Raise SearchError for an unknown field with a comparison: it is not meant as text."""
    if _COMPARISON_LIKE.match(word.syntax):
        hint = f'{did_you_mean(subject.text, _FIELD_NAMES, ":")}; to search for the text, quote it: "{word.text}"'
        raise SearchError(f"Unknown field '{subject.text}'", word.position, hint=hint)


_FIELD_NAMES = (*FIELDS, *ALIASES, *SPECIAL_QUALIFIERS)
