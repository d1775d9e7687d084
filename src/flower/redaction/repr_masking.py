"""Masks the values of secret names inside text: the repr of arguments or a result, an exception, a traceback, a log
line.

The text is scanned as Python writes values: strings, names, brackets. The value that follows a secret name
(`'password': …`, `password=…`, `password: …`) is masked up to its end; a string that contains such text (for example
JSON) is scanned in the same way. The scanner never moves backwards, so the time is proportional to the length of the
text. Where the text is not a Python value, more rather than less is masked.
"""

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flower.redaction import structures
from flower.redaction.names import MAX_NAME_LENGTH, Secrecy
from flower.redaction.patterns import MASK
from flower.redaction.structures import Span, TextToken, read_token, string_span
from flower.redaction.value_spans import (
    CLOSING,
    ESCAPED_QUOTE,
    NEXT,
    OPENING,
    argument_end,
    bare_end,
    block_end,
    bracket_end,
    escaped_string_end,
    list_end,
    string_end,
)

_MAX_DEPTH = 6
#: What `ast.literal_eval` raises. SystemError: CPython 3.11 counts the depth for all threads together.
_LITERAL_ERRORS = (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, SystemError)

#: Between a name and its value. The optional quote is one that was not recognised as the end of a string. A type
#: annotation is skipped: `password: str = …`.
_SEPARATOR = re.compile(
    r"\\*+['\"]?(?:\]|%5D)?\s*+(?::=|:(?!:|//)|=>|={1,3}|%3D)\s*+"
    r"(?:[A-Za-z_][\w.]{0,40}(?:\[[\w., |]{0,60}\])?(?: \| None)? = )?+",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(?:None|True|False|null|true|false|''|\"\")(?![\w'\"])")
_NUMBER = re.compile(r"[-+]?\d[\d_]*+(?:\.\d*+)?(?:e[-+]?\d++)?(?=[\s,;&)\]}>\"'\\]|\.\.\.|$)", re.IGNORECASE)
_NUMBERS_IN_BRACKETS = re.compile(
    r"(?:[\s\[\](){},]|[-+]?\d[\w.+-]*+|None|True|False|null|true|false|['\"][\w. -]{0,100}['\"]\s*+:)*+"
)
#: The next key of a YAML document, where the value of the name before it is empty.
_NEXT_KEY = re.compile(r"[A-Za-z_][\w.-]*+:(?:\s|$)")
_HEADER = re.compile(r"(?:.*[-_.])?(?:authorization|(?:set[-_])?cookies?)", re.IGNORECASE | re.S)
_ESCAPES = re.compile(
    r"(?:[^\\]++|\\(?:[\\'\"abfnrtv\n]|[0-3]?[0-7]{1,2}|x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}))*+", re.I
)


class MaskContext(NamedTuple):
    """Predicates of the redactor."""

    #: what is masked under this name
    classify: Callable[[str], Secrecy]
    #: False only if the text contains no secret
    may_contain_secret: Callable[[str], bool]


def mask_named_values(text: str, context: MaskContext, depth: int = 0) -> str:
    """The text with the values of secret names masked; the same object if there are none."""
    scanner = _Scanner(text, context)
    parts: list[str] = []
    copied = at = 0
    while match := NEXT.search(text, at):
        token = read_token(text, match)
        at = token.end
        if (found := scanner.find_value(token)) is not None:
            start, end, mask = found
            parts += (text[copied:start], text[start:end] if mask is None else mask)
            copied = at = max(end, start)
        elif token.is_string and context.may_contain_secret(token.content):
            parts += (
                text[copied : token.start],
                _mask_string_content(text[token.start : at], match, context, depth),
            )
            copied = at
    if not parts:
        return text
    parts.append(text[copied:])
    return "".join(parts)


class _Scanner:
    """Finds the value that belongs to a token, and keeps what earlier tokens mean for it."""

    def __init__(self, text: str, context: MaskContext) -> None:
        self._text = text
        self._classify = context.classify
        self._previous: TextToken | None = None
        #: the secret name of an object whose value has not been found: its end and its kind
        self._pending: tuple[int, Secrecy] | None = None

    def find_value(self, token: TextToken) -> tuple[int, int, str | None] | None:
        """Start and end of the value that belongs to the token, and its replacement (None: it remains); None if the
        token has no secret value."""
        previous, self._previous = self._previous, None if token.is_string else token
        if len(token.content) > MAX_NAME_LENGTH:
            return None
        separator = _SEPARATOR.match(self._text, token.end)
        if separator is None:
            return self._find_in_structure(token)
        secrecy = self._classify(self._full_name(token, previous))
        if secrecy:
            return self._mask_after(token, separator, secrecy)
        return self._find_in_object(token, separator.end())

    def _full_name(self, token: TextToken, previous: TextToken | None) -> str:
        """The name with the word before it: `API key: …`."""
        if previous is None or token.is_string or self._text[previous.end : token.start] != " ":
            return token.content
        name = f"{previous.content} {token.content}"
        return name if len(name) <= MAX_NAME_LENGTH else token.content

    def _mask_after(self, token: TextToken, separator: re.Match[str], secrecy: Secrecy) -> tuple[int, int, str | None]:
        text, start = self._text, separator.end()
        start = structures.find_enum_value_start(text, token, start) or start
        has_line_break = "\n" in separator[0]
        if not token.is_string:
            if has_line_break and _NEXT_KEY.match(text, start):
                return start, start, None
            block = list_end(text, token.start, start) if has_line_break else block_end(text, token.start, start)
            if block is not None:
                return start, block, MASK
        if secrecy is Secrecy.TEXT and text[token.start - 1 : token.start] not in ("?", "&"):
            harmless_end = _number_end(text, start)
            if harmless_end is not None:
                return start, harmless_end, None
        is_header = _HEADER.fullmatch(token.content) is not None
        end, mask = _mask_value_at(text, start, quoted=token.is_string, is_header=is_header)
        return start, end, mask

    def _find_in_structure(self, token: TextToken) -> tuple[int, int, str | None] | None:
        text = self._text
        if not token.is_string and token.content.lower() in structures.LOGIN_CALLS:
            return _replace(text, structures.find_login_password(text, token.end))
        if (span := structures.find_option_value(text, token, self._classify)) is not None:
            return _replace(text, span)
        if not self._classify(token.content):
            return None
        if token.is_string:
            return _replace(text, structures.find_pair_value(text, token))
        return _replace(text, structures.find_element_text(text, token))

    def _find_in_object(self, token: TextToken, start: int) -> tuple[int, int, str | None] | None:
        text, key = self._text, token.content.lower()
        if key in structures.LOGIN_NAMES:
            return _replace(text, structures.find_login_password(text, start))
        if key in structures.NAME_KEYS:
            match = NEXT.match(text, start)
            name = read_token(text, match) if match else None
            secrecy = self._classify(name.content) if name else Secrecy.NONE
            if name is not None and secrecy:
                self._pending = name.end, secrecy
                return _replace(text, structures.find_value_of_element(text, name.end))
        elif key in structures.VALUE_KEYS:
            secrecy = self._take_secrecy(token, start)
            if secrecy and not (secrecy is Secrecy.TEXT and _NUMBER.match(text, start)):
                return start, *_mask_value_at(text, start, quoted=token.is_string)
        return None

    def _take_secrecy(self, token: TextToken, start: int) -> Secrecy:
        """What is masked in the value of an object, by the name before or after it."""
        pending, self._pending = self._pending, None
        if pending is not None and structures.is_near(self._text, pending[0], token.start):
            return pending[1]
        value = string_span(self._text, start)
        if value is None or value.is_open:
            return Secrecy.NONE
        name = structures.read_name_after(self._text, value.end + 1)
        return Secrecy.NONE if name is None else self._classify(name)


def _replace(text: str, span: Span | None) -> tuple[int, int, str | None] | None:
    if span is None:
        return None
    return span.start, span.end, f"{MASK}..." if span.is_open and text.endswith("...") else MASK


def mask_argument_positions(text: str, positions: tuple[int, ...] | None) -> str:
    """The repr of positional arguments with those at these positions masked; None = all."""
    if not text or text[0] not in OPENING:
        return f"'{MASK}'" if text else text
    parts, index, position = [text[0]], 1, 0
    while index < len(text) and text[index] not in CLOSING:
        end = argument_end(text, index)
        argument = text[index:end]
        indent = len(argument) - len(argument.lstrip())
        is_masked = (positions is None or position in positions) and argument.strip()
        parts.append(f"{argument[:indent]}'{MASK}'" if is_masked else argument)
        if end < len(text) and text[end] == ",":
            parts.append(",")
            end, position = end + 1, position + 1
        index = end
    parts.append(text[index:])
    return "".join(parts)


def is_literal(text: str) -> bool:
    """Whether the text is a Python literal."""
    try:
        parse_literal(text)
    except _LITERAL_ERRORS:
        return False
    return True


def parse_literal(text: str) -> Any:
    """Raises one of `_LITERAL_ERRORS`."""
    if not _ESCAPES.fullmatch(text):  # Python accepts it with a warning
        raise ValueError("invalid escape sequence")
    return ast.literal_eval(text)


def _mask_string_content(literal: str, match: re.Match[str], context: MaskContext, depth: int) -> str:
    """The string literal with the secrets in its content masked; otherwise the same value."""
    quote, prefix = match["quote"], match["prefix"]
    if depth >= _MAX_DEPTH:
        return f"{prefix}{quote}{MASK}{quote}"
    start = len(prefix) + 1
    closed = string_end(literal, start, quote) == len(literal)
    try:
        value = parse_literal(literal if closed else f"{_trim_partial_escape(literal)}{quote}")
    except _LITERAL_ERRORS:
        raw = mask_named_values(literal[start:], context, depth + 1)
        return literal[:start] + raw
    inner = value.decode("latin-1") if isinstance(value, bytes) else value
    masked = mask_named_values(inner, context, depth + 1)
    if masked is inner:
        return literal
    quoted = _quote_like(masked.encode("latin-1") if isinstance(value, bytes) else masked, quote)
    return quoted if closed else quoted[:-1]


def _quote_like(value: str | bytes, quote: str) -> str:
    """The repr of the value with these quotes: JSON has no others."""
    text = repr(value)
    start = text.index(text[-1])
    used, content = text[start], text[start + 1 : -1]
    if used != quote:
        content = content.replace("\\'", "'") if quote == '"' else content
        content = content.replace(quote, f"\\{quote}")
    return f"{text[:start]}{quote}{content}{quote}"


def _trim_partial_escape(literal: str) -> str:
    """The literal without an incomplete escape sequence at its end."""
    backslashes = len(literal) - len(literal.rstrip("\\"))
    return literal[:-1] if backslashes % 2 else literal


def _number_end(text: str, start: int) -> int | None:
    """The end of a number or of brackets that contain only numbers; None if the value is something else."""
    if number := _NUMBER.match(text, start):
        return number.end()
    if text[start : start + 1] in ("(", "[", "{"):
        end = bracket_end(text, start)
        if _NUMBERS_IN_BRACKETS.fullmatch(text, start, end):
            return end
    return None


def _mask_value_at(text: str, start: int, *, quoted: bool, is_header: bool = False) -> tuple[int, str | None]:
    """The index after the value at `start`, and its replacement; None if the value is harmless and remains."""
    if plain := _PLAIN.match(text, start):
        return plain.end(), None
    opening = NEXT.match(text, start)
    if opening and opening["quote"]:
        value = string_span(text, start)
        if value is not None and not value.is_open:
            return value.end + 1, f"{opening[0]}{MASK}{opening['quote']}"
        return len(text), f"{opening[0]}{MASK}{'...' if text.endswith('...') else ''}"
    if escaped := ESCAPED_QUOTE.match(text, start):
        end = escaped_string_end(text, escaped)
        return end, f"{escaped[0]}{MASK}{escaped[0] if end < len(text) or text.endswith(escaped[0]) else ''}"
    if text[start : start + 1] in ("(", "[", "{", "<"):
        return bracket_end(text, start), f"'{MASK}'"
    end = bare_end(text, start, is_header=is_header)
    if end == start:
        return start, None
    return end, f"'{MASK}'" if quoted else MASK
