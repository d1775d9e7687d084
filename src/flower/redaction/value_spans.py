"""Finds where values end in text: strings, brackets, words, blocks. All functions return an index and only move
forwards, so the time is proportional to the length of the text."""

import re

#: A string with its prefix, or a word. A word may contain dots and hyphens.
NEXT = re.compile(r"(?<!\w)(?P<prefix>[bBrRuU]{0,2})(?P<quote>['\"])|(?P<word>\w[\w.-]*+)")
ESCAPED_QUOTE = re.compile(r"(\\+)(['\"])")
#: A word before the secret in a header.
SCHEME = re.compile(
    r"(?:bearer|basic|token|digest|apikey|negotiate|oauth|hawk|signature|aws4-[\w-]+)\s++", re.IGNORECASE
)

OPENING, CLOSING = "([{", ")]}"

_REST = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+{quote}", re.S) for quote in "'\""}
_BARE = re.compile(r"[^\s,;&'\"()\[\]{}<>]++")
_BRACKET = re.compile(r"(?<!\w)['\"]|[()\[\]{}<>]")
#: A character after which the value continues although it is a comma, a quote or a closing bracket.
_CONTINUATION = re.compile(r"['\",)\]}>](?=[\w!@#$%^*+/])(?!\w+\s*+[=:])")
#: More parameters of a header: `Digest username="ann", response="…"`, `sessionid=…; csrftoken=…`.
_MORE_PARAMETERS = re.compile(r"(?:[;,]\s*+[\w.-]++=(?:\"[^\"]*+\"|[^\s,;'\"]*+))++")
#: A string directly after another one is part of it.
_ADJACENT = re.compile(r"[ \t]*+[bBrRuU]{0,2}(['\"])")
_BLOCK_SCALAR = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*+(?:#[^\n]*+)?(?=\n)")
_LINE = re.compile(r"\n([ \t]*+)(- )?([^\n]*+)")


def string_end(text: str, start: int, quote: str) -> int:
    """The index after the closing quote; beyond the end of the text if there is none."""
    rest = _REST[quote].match(text, start)
    return rest.end() if rest else len(text) + 1


def literal_end(text: str, start: int, quote: str) -> int:
    """The index after a string and the strings that directly follow it; beyond the end of the text if it is
    truncated."""
    end = string_end(text, start, quote)
    while end < len(text) and (more := _ADJACENT.match(text, end)):
        end = string_end(text, more.end(), more[1])
    return end


def escaped_string_end(text: str, opening: re.Match[str]) -> int:
    """The index after the quote that closes a string whose quotes have this many backslashes."""
    level = len(opening[1])
    for match in ESCAPED_QUOTE.finditer(text, opening.end()):
        if match[2] == opening[2] and (len(match[1]) - level) % (2 * (level + 1)) == 0:
            return match.end()
    return len(text)


def bracket_end(text: str, start: int) -> int:
    """The index after the bracket that closes the one at `start`; the end of the text if it is truncated."""
    angle = text[start] == "<"
    opening, closing = (OPENING + "<", CLOSING + ">") if angle else (OPENING, CLOSING)
    depth, at = 0, start
    while match := _BRACKET.search(text, at):
        at = match.end()
        if match[0] in "'\"":
            at = min(string_end(text, at, match[0]), len(text))
        elif match[0] in opening:
            depth += 1
        elif match[0] in closing:
            depth -= 1
            if depth == 0:
                return at
    return len(text)


def bare_end(text: str, start: int, *, is_header: bool = False) -> int:
    """The end of a value without quotes: a number, a word, a call such as `Secret('x')`. `is_header`: also the
    parameters that follow it."""
    scheme = SCHEME.match(text, start)
    at = scheme.end() if scheme else start
    while at < len(text):
        if is_header and at > start and text[at] == '"' and text[at - 1] == "=":
            at = min(string_end(text, at + 1, '"'), len(text))
        elif (bare := _BARE.match(text, at)) or (bare := _CONTINUATION.match(text, at)):
            at = bare.end()
        elif text[at] in "([{<" and at > start:
            at = bracket_end(text, at)
        else:
            break
    if is_header and at > start and (more := _MORE_PARAMETERS.match(text, at)):
        at = more.end()
    return at


def block_end(text: str, name_start: int, start: int) -> int | None:
    """The end of a YAML block that begins at `start`: a block scalar (`|`, `>`) or the lines below the name; None if
    there is none."""
    scalar = _BLOCK_SCALAR.match(text, start)
    if scalar is None:
        return None
    indent = _indent(text, name_start)
    at = scalar.end()
    while line := _LINE.match(text, at):
        if line[3].strip() and len(line[1]) <= indent:
            break
        at = line.end()
    return at


def list_end(text: str, name_start: int, start: int) -> int | None:
    """The end of a YAML list whose first item begins at `start`; None if there is none."""
    if text[start : start + 2] != "- ":
        return None
    indent = _indent(text, name_start)
    newline = text.find("\n", start)
    at = len(text) if newline < 0 else newline
    while (line := _LINE.match(text, at)) and len(line[1]) >= indent and (line[2] or len(line[1]) > indent):
        at = line.end()
    return at


def argument_end(text: str, start: int) -> int:
    """The end of the argument at `start`: before a comma or the closing bracket."""
    at = start
    while at < len(text):
        if text[at] in ",)]}":
            return at
        if text[at] in "([{":
            at = bracket_end(text, at)
        elif text[at] in "'\"":
            at = min(string_end(text, at + 1, text[at]), len(text))
        else:
            at += 1
    return at


def _indent(text: str, name_start: int) -> int:
    line_start = text.rfind("\n", 0, name_start) + 1
    return len(text[line_start:name_start]) - len(text[line_start:name_start].lstrip(" \t-"))
