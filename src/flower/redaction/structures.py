"""Secrets whose name and value are not joined by `:` or `=`: pairs, arguments of commands, XML elements, objects with a
name and a value, and login tuples. Each function returns the span of the value, or None."""

import re
from collections.abc import Callable
from typing import NamedTuple

from flower.redaction.names import Secrecy
from flower.redaction.value_spans import NEXT, bare_end, literal_end, string_end

NAME_KEYS = frozenset({"name", "key", "header", "field", "variable", "parameter", "param", "env"})
VALUE_KEYS = frozenset({"value", "val", "content"})
LOGIN_NAMES = frozenset({"auth", "basic_auth", "http_auth", "proxy_auth"})
LOGIN_CALLS = frozenset({"httpbasicauth", "httpdigestauth", "httpproxyauth", "basicauth"})

#: Characters between the name and the value of an object.
_MAX_DISTANCE = 300
#: Words after an option in a sentence about it.
_SENTENCE_WORDS = frozenset({
    "and", "argument", "as", "cannot", "flag", "for", "from", "if", "in", "instead", "is", "must", "not", "on",
    "option", "or", "parameter", "requires", "to", "was", "when", "with", "without",
})  # fmt: skip

_COMMA = re.compile(r"\s*+,\s*+")
_PAIR_END = re.compile(r"\s*+,?\s*+(?:[)\]]|\.\.\.$|$)")
_DIGITS = re.compile(r"[-+]?\d+(?:\.\d+)?")
_IDENTIFIER = re.compile(r"[A-Za-z_-]+")
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_DASHES = re.compile(r"(?<![\w-])--?$")
_TAG_START = re.compile(r"<(?:[\w.-]+:)?$")
_TAG_REST = re.compile(r"(?:\s[^<>]{0,500})?(?<!/)>")
_ELEMENT_TEXT = re.compile(r"(?:\s*<!\[CDATA\[[^\]]*\]\]>\s*|[^<]+)(?=</|(?<=\.\.\.)$)")
_ENUM_VALUE = re.compile(r"[^<>\n]{0,200}>\s*+(?::|=>?)\s*+")
_REVERSED = re.compile(r"\s*+,?\s*+(?P<quote>\\*['\"]?)(?:name|key|header|field)(?P=quote)\s*+[:=]\s*+", re.IGNORECASE)
_ELEMENT_END = re.compile(r"\s*+>")


class Span(NamedTuple):
    """Where a value begins and ends. `quote`: of the string, "" for another value; `is_open`: the text ends in it."""

    start: int
    end: int
    quote: str = ""
    is_open: bool = False


class TextToken(NamedTuple):
    """A string or a word of the text. `end` is the index after it."""

    start: int
    end: int
    content: str
    is_string: bool


def read_token(text: str, match: re.Match[str]) -> TextToken:
    """The token that `NEXT` matched."""
    if match["quote"] is None:
        return TextToken(match.start(), match.end(), match[0], is_string=False)
    end = string_end(text, match.end(), match["quote"])
    content = text[match.end() : end - 1 if end <= len(text) else end]
    return TextToken(match.start(), min(end, len(text)), content, is_string=True)


def string_span(text: str, start: int) -> Span | None:
    """The content of the string at `start`."""
    opening = NEXT.match(text, start)
    if opening is None or opening["quote"] is None:
        return None
    end = literal_end(text, opening.end(), opening["quote"])
    if end > len(text):
        return Span(opening.end(), len(text), opening["quote"], is_open=True)
    return Span(opening.end(), end - 1, opening["quote"])


def find_pair_value(text: str, token: TextToken) -> Span | None:
    """The second element of a tuple or list of two, whose first element is the token."""
    if text[max(0, token.start - 3) : token.start].rstrip()[-1:] not in ("(", "["):
        return None
    comma = _COMMA.match(text, token.end)
    value = string_span(text, comma.end()) if comma else None
    if value is None or not (value.is_open or _PAIR_END.match(text, value.end + 1)):
        return None
    content = text[value.start : value.end]
    return None if not content or _is_label(content, token.content) else value


def find_option_value(text: str, token: TextToken, classify: Callable[[str], Secrecy]) -> Span | None:
    """The value after an option of a command: the next string of a list, or the next word of a command line."""
    if token.is_string:
        secrecy = classify(token.content.lstrip("-")) if _OPTION.fullmatch(token.content) else Secrecy.NONE
        comma = _COMMA.match(text, token.end) if secrecy else None
        value = string_span(text, comma.end()) if comma else None
    elif _DASHES.search(text[max(0, token.start - 3) : token.start]):
        secrecy = classify(token.content)
        value = _word_span(text, token.end) if secrecy else None
    else:
        return None
    if value is None:
        return None
    content = text[value.start : value.end]
    is_number = secrecy is Secrecy.TEXT and _DIGITS.fullmatch(content)
    return None if not content or content.startswith("-") or is_number else value


def find_element_text(text: str, token: TextToken) -> Span | None:
    """The text of the XML element whose name is the token."""
    if token.is_string or not _TAG_START.search(text[max(0, token.start - 60) : token.start]):
        return None
    rest = _TAG_REST.match(text, token.end)
    return _element_span(text, rest.end()) if rest else None


def find_value_of_element(text: str, end: int) -> Span | None:
    """The text of an element with a name attribute that ends at `end`: `<entry key="password">…</entry>`."""
    rest = _ELEMENT_END.match(text, end)
    return _element_span(text, rest.end()) if rest else None


def find_enum_value_start(text: str, token: TextToken, value_start: int) -> int | None:
    """Where the value of an enum key begins: `<Key.password: 1>: …`."""
    if token.is_string or text[token.start - 1 : token.start] != "<":
        return None
    rest = _ENUM_VALUE.match(text, value_start)
    return rest.end() if rest else None


def is_near(text: str, name_end: int, value_start: int) -> bool:
    """Whether a name and a value are in the same object."""
    return value_start - name_end <= _MAX_DISTANCE and not any(letter in "}<" for letter in text[name_end:value_start])


def read_name_after(text: str, value_end: int) -> str | None:
    """The name of an object whose value comes first: `{'value': …, 'name': 'password'}`."""
    key = _REVERSED.match(text, value_end)
    match = NEXT.match(text, key.end()) if key else None
    return read_token(text, match).content if match else None


def find_login_password(text: str, start: int) -> Span | None:
    """The second string in brackets that contain exactly two strings."""
    if text[start : start + 1] not in ("(", "["):
        return None
    user = string_span(text, start + 1)
    comma = _COMMA.match(text, user.end + 1) if user and not user.is_open else None
    password = string_span(text, comma.end()) if comma else None
    if password is None or not (password.is_open or _PAIR_END.match(text, password.end + 1)):
        return None
    return password


def _word_span(text: str, start: int) -> Span | None:
    at = start
    while at < len(text) and text[at] in " \t":
        at += 1
    if at == start or at == len(text):
        return None
    if (value := string_span(text, at)) is not None:
        return value
    end = bare_end(text, at)
    return None if end == at or text[at:end].lower() in _SENTENCE_WORDS else Span(at, end)


def _element_span(text: str, start: int) -> Span | None:
    content = _ELEMENT_TEXT.match(text, start)
    return Span(start, content.end()) if content and content[0].strip() else None


def _is_label(value: str, name: str) -> bool:
    """Whether the value of a pair is a label for the name, as in a list of choices: `('password', 'Password')`."""
    return bool(_IDENTIFIER.fullmatch(value)) and value.lower().replace("-", "_") == name.lower().replace("-", "_")
