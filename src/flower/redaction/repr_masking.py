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

from flower.redaction.patterns import MASK

_MAX_DEPTH = 6
_MAX_NAME_LENGTH = 100

_NEXT = re.compile(r"(?<!\w)(?P<prefix>[bBrRuU]{0,2})(?P<quote>['\"])|(?P<word>\w[\w-]*+)")
#: Between a name and its value. The optional quote is one that was not recognised as the end of a string.
_SEPARATOR = re.compile(r"\\*+['\"]?\s*+(?::(?!:)|=>|=(?!=))\s*+")
_REST = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+{quote}", re.S) for quote in "'\""}
_ESCAPED_QUOTE = re.compile(r"(\\+)(['\"])")
_PLAIN = re.compile(r"(?:None|True|False|null|true|false|''|\"\")(?![\w'\"])")
_SCHEME = re.compile(r"(?:bearer|basic|token|digest|apikey|negotiate)\s++", re.IGNORECASE)
_BARE = re.compile(r"[^\s,;&'\"()\[\]{}<>]++")
_BRACKET = re.compile(r"(?<!\w)['\"]|[()\[\]{}<>]")
#: A character after which the value continues although it is a comma, a quote or a closing bracket.
_GOES_ON = re.compile(r"['\",)\]}>](?=[\w!@#$%^*+/])(?!\w+\s*+[=:])")
#: A string directly after another one is part of it.
_ADJACENT = re.compile(r"[ \t]*+[bBrRuU]{0,2}(['\"])")
_ESCAPES = re.compile(
    r"(?:[^\\]++|\\(?:[\\'\"abfnrtv\n]|[0-3]?[0-7]{1,2}|x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}))*+", re.I
)
_OPENING, _CLOSING = "([{", ")]}"


class MaskContext(NamedTuple):
    #: whether the values of this name are masked
    """Predicates of the redactor."""

    is_secret: Callable[[str], bool]
    #: False only if the text contains no secret
    may_contain_secret: Callable[[str], bool]


def mask_named_values(text: str, context: MaskContext, depth: int = 0) -> str:
    """The text with the values of secret names masked; the same object if there are none."""
    parts: list[str] = []
    copied = at = 0
    while match := _NEXT.search(text, at):
        content, at = _content(text, match)
        separator = _SEPARATOR.match(text, at)
        if separator and len(content) <= _MAX_NAME_LENGTH and context.is_secret(content):
            start = separator.end()
            end, mask = _mask_value_at(text, start, quoted=match["quote"] is not None)
            parts += (text[copied:start], text[start:end] if mask is None else mask)
            copied = at = max(end, start)
        elif match["quote"] and context.may_contain_secret(content):
            parts += (
                text[copied : match.start()],
                _mask_string_content(text[match.start() : at], match, context, depth),
            )
            copied = at
    if not parts:
        return text
    parts.append(text[copied:])
    return "".join(parts)


def mask_argument_positions(text: str, positions: tuple[int, ...] | None) -> str:
    """The repr of positional arguments with those at these positions masked; None = all."""
    if not text or text[0] not in _OPENING:
        return f"'{MASK}'" if text else text
    parts, index, position = [text[0]], 1, 0
    while index < len(text) and text[index] not in _CLOSING:
        end = _argument_end(text, index)
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
        _literal(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
    return True


def _literal(text: str) -> Any:
    if not _ESCAPES.fullmatch(text):  # Python accepts it with a warning
        raise ValueError("invalid escape sequence")
    return ast.literal_eval(text)


def _content(text: str, match: re.Match[str]) -> tuple[str, int]:
    """The content of the string or the word that matched, and the index after it."""
    if match["quote"] is None:
        return match[0], match.end()
    end = _string_end(text, match.end(), match["quote"])
    return text[match.end() : end - 1 if end <= len(text) else end], min(end, len(text))


def _string_end(text: str, start: int, quote: str) -> int:
    """The index after the closing quote; beyond the end of the text if there is none."""
    rest = _REST[quote].match(text, start)
    return rest.end() if rest else len(text) + 1


def _mask_string_content(literal: str, match: re.Match[str], context: MaskContext, depth: int) -> str:
    """The string literal with the secrets in its content masked; otherwise the same value."""
    quote, prefix = match["quote"], match["prefix"]
    if depth >= _MAX_DEPTH:
        return f"{prefix}{quote}{MASK}{quote}"
    start = len(prefix) + 1
    closed = _string_end(literal, start, quote) == len(literal)
    try:
        value = _literal(literal if closed else f"{_trim_partial_escape(literal)}{quote}")
    except (ValueError, SyntaxError, MemoryError):
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


def _mask_value_at(text: str, start: int, *, quoted: bool) -> tuple[int, str | None]:
    """The index after the value at `start`, and its replacement; None if the value is harmless and remains."""
    if plain := _PLAIN.match(text, start):
        return plain.end(), None
    opening = _NEXT.match(text, start)
    if opening and opening["quote"]:
        end = _string_end(text, opening.end(), opening["quote"])
        while end < len(text) and (more := _ADJACENT.match(text, end)):
            end = _string_end(text, more.end(), more[1])
        cut = "..." if end > len(text) and text.endswith("...") else ""
        closing = opening["quote"] if end <= len(text) else cut
        return min(end, len(text)), f"{opening[0]}{MASK}{closing}"
    if escaped := _ESCAPED_QUOTE.match(text, start):
        end = _escaped_end(text, escaped)
        return end, f"{escaped[0]}{MASK}{escaped[0] if end < len(text) or text.endswith(escaped[0]) else ''}"
    if text[start : start + 1] in ("(", "[", "{", "<"):
        return _bracket_end(text, start), f"'{MASK}'"
    end = _bare_end(text, start)
    if end == start:
        return start, None
    return end, f"'{MASK}'" if quoted else MASK


def _escaped_end(text: str, opening: re.Match[str]) -> int:
    """The index after the quote that closes a string whose quotes have this many backslashes."""
    level = len(opening[1])
    for match in _ESCAPED_QUOTE.finditer(text, opening.end()):
        if match[2] == opening[2] and (len(match[1]) - level) % (2 * (level + 1)) == 0:
            return match.end()
    return len(text)


def _bracket_end(text: str, start: int) -> int:
    """The index after the bracket that closes the one at `start`; the end of the text if it is truncated."""
    angle = text[start] == "<"
    opening, closing = (_OPENING + "<", _CLOSING + ">") if angle else (_OPENING, _CLOSING)
    depth, at = 0, start
    while match := _BRACKET.search(text, at):
        at = match.end()
        if match[0] in "'\"":
            at = min(_string_end(text, at, match[0]), len(text))
        elif match[0] in opening:
            depth += 1
        elif match[0] in closing:
            depth -= 1
            if depth == 0:
                return at
    return len(text)


def _bare_end(text: str, start: int) -> int:
    """The end of a value without quotes: a number, a word, a call such as `Secret('x')`."""
    scheme = _SCHEME.match(text, start)
    at = scheme.end() if scheme else start
    while at < len(text):
        if (bare := _BARE.match(text, at)) or (bare := _GOES_ON.match(text, at)):
            at = bare.end()
        elif text[at] in "([{<" and at > start:
            at = _bracket_end(text, at)
        else:
            break
    return at


def _argument_end(text: str, start: int) -> int:
    """The end of the argument at `start`: before a comma or the closing bracket."""
    at = start
    while at < len(text):
        if text[at] in ",)]}":
            return at
        if text[at] in "([{":
            at = _bracket_end(text, at)
        elif (text[at] in "'\"" and not text[at - 1].isalnum()) or text[at] in "'\"":
            at = min(_string_end(text, at + 1, text[at]), len(text))
        else:
            at += 1
    return at
