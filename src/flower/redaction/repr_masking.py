"""Values under telling names in a text: the repr of arguments or a result, an exception, a traceback, a line of a log.

The text is read as Python writes values: strings, names, brackets. What follows a name that tells of a secret
(`'password': …`, `password=…`, `password: …`) is masked up to its end; a string that holds such text (JSON, say) is
read in the same way. Every step goes forward, so the time is in proportion to the text. Where a text is no value of
Python's, more rather than less is masked.
"""

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flower.redaction.patterns import MASK

_MAX_DEPTH = 6
_MAX_NAME_LENGTH = 100

_NEXT = re.compile(r"(?<!\w)(?P<prefix>[bBrRuU]{0,2})(?P<quote>['\"])|(?P<word>\w[\w-]*+)")
#: Between a name and its value; the quote is one that was not seen as the end of a string.
_SEPARATOR = re.compile(r"\\*+['\"]?\s*+(?::(?!:)|=>|=(?!=))\s*+")
_REST = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+{quote}", re.S) for quote in "'\""}
_ESCAPED_QUOTE = re.compile(r"(\\+)(['\"])")
_PLAIN = re.compile(r"(?:None|True|False|null|true|false|''|\"\")(?![\w'\"])")
_SCHEME = re.compile(r"(?:bearer|basic|token|digest|apikey|negotiate)\s++", re.IGNORECASE)
_BARE = re.compile(r"[^\s,;&'\"()\[\]{}<>]++")
_BRACKET = re.compile(r"(?<!\w)['\"]|[()\[\]{}<>]")
#: After it a value goes on that has a comma, a quote or a closing bracket in it.
_GOES_ON = re.compile(r"['\",)\]}>](?=[\w!@#$%^*+/])(?!\w+\s*+[=:])")
#: A string that begins right behind another one is a part of it.
_ADJACENT = re.compile(r"[ \t]*+[bBrRuU]{0,2}(['\"])")
_ESCAPES = re.compile(
    r"(?:[^\\]++|\\(?:[\\'\"abfnrtv\n]|[0-3]?[0-7]{1,2}|x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}))*+", re.I
)
_OPENING, _CLOSING = "([{", ")]}"


class MaskContext(NamedTuple):
    #: whether this name is one of those whose values are masked
    is_secret: Callable[[str], bool]
    #: False if there is certainly nothing to mask in this text
    may_contain_secret: Callable[[str], bool]


def mask_named_values(text: str, context: MaskContext, depth: int = 0) -> str:
    """The text with the values of secret names masked; the same object if there are none."""
    out: list[str] = []
    copied = at = 0
    while found := _NEXT.search(text, at):
        content, at = _content(text, found)
        separator = _SEPARATOR.match(text, at)
        if separator and len(content) <= _MAX_NAME_LENGTH and context.is_secret(content):
            start = separator.end()
            end, mask = _mask_value_at(text, start, quoted=found["quote"] is not None)
            out += (text[copied:start], text[start:end] if mask is None else mask)
            copied = at = max(end, start)
        elif found["quote"] and context.may_contain_secret(content):
            out += (text[copied : found.start()], _mask_string_content(text[found.start() : at], found, context, depth))
            copied = at
    if not out:
        return text
    out.append(text[copied:])
    return "".join(out)


def mask_argument_positions(text: str, positions: tuple[int, ...] | None) -> str:
    """The repr of positional arguments with those at these places masked; None means all."""
    if not text or text[0] not in _OPENING:
        return f"'{MASK}'" if text else text
    out, at, place = [text[0]], 1, 0
    while at < len(text) and text[at] not in _CLOSING:
        end = _argument_end(text, at)
        whole = text[at:end]
        blank = len(whole) - len(whole.lstrip())
        wanted = (positions is None or place in positions) and whole.strip()
        out.append(f"{whole[:blank]}'{MASK}'" if wanted else whole)
        if end < len(text) and text[end] == ",":
            out.append(",")
            end, place = end + 1, place + 1
        at = end
    out.append(text[at:])
    return "".join(out)


def is_literal(text: str) -> bool:
    try:
        _literal(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False
    return True


def _literal(text: str) -> Any:
    if not _ESCAPES.fullmatch(text):  # Python would take it, and complain of it in the log
        raise ValueError("an escape that Python does not know")
    return ast.literal_eval(text)


def _content(text: str, found: re.Match[str]) -> tuple[str, int]:
    """What is inside of the string or is the word that was found, and where it ends."""
    if found["quote"] is None:
        return found[0], found.end()
    end = _string_end(text, found.end(), found["quote"])
    return text[found.end() : end - 1 if end <= len(text) else end], min(end, len(text))


def _string_end(text: str, start: int, quote: str) -> int:
    """Behind the closing quote; beyond the text's end if there is none."""
    rest = _REST[quote].match(text, start)
    return rest.end() if rest else len(text) + 1


def _mask_string_content(literal: str, found: re.Match[str], context: MaskContext, depth: int) -> str:
    """The string with what is in it masked, as a string that spells the same value otherwise."""
    quote, prefix = found["quote"], found["prefix"]
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
    spelt = _quote_like(masked.encode("latin-1") if isinstance(value, bytes) else masked, quote)
    return spelt if closed else spelt[:-1]


def _quote_like(value: str | bytes, quote: str) -> str:
    """The repr of it, within these quotes: JSON knows no others than its own."""
    spelt = repr(value)
    start = spelt.index(spelt[-1])
    used, content = spelt[start], spelt[start + 1 : -1]
    if used != quote:
        content = content.replace("\\'", "'") if quote == '"' else content
        content = content.replace(quote, f"\\{quote}")
    return f"{spelt[:start]}{quote}{content}{quote}"


def _trim_partial_escape(literal: str) -> str:
    backslashes = len(literal) - len(literal.rstrip("\\"))
    return literal[:-1] if backslashes % 2 else literal


def _mask_value_at(text: str, start: int, *, quoted: bool) -> tuple[int, str | None]:
    """Where the value that begins here ends, and what stands for it; None if it tells nothing and may stay."""
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
    """Behind the quote that closes a string whose quotes have this many backslashes before them."""
    level = len(opening[1])
    for found in _ESCAPED_QUOTE.finditer(text, opening.end()):
        if found[2] == opening[2] and (len(found[1]) - level) % (2 * (level + 1)) == 0:
            return found.end()
    return len(text)


def _bracket_end(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; the text's end if it is cut before."""
    angle = text[start] == "<"
    opening, closing = (_OPENING + "<", _CLOSING + ">") if angle else (_OPENING, _CLOSING)
    depth, at = 0, start
    while found := _BRACKET.search(text, at):
        at = found.end()
        if found[0] in "'\"":
            at = min(_string_end(text, at, found[0]), len(text))
        elif found[0] in opening:
            depth += 1
        elif found[0] in closing:
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
    """Where the argument ends that begins here: before a comma or the closing bracket of the whole."""
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
