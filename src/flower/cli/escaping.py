"""Escaping of control characters for terminals: the name and arguments of a task are chosen by its sender, and escape
sequences in them must not be executed by the terminal."""

import re

#: Control characters (which start escape sequences), characters that change the writing direction, invisible
#: characters, and lone surrogates, which no output encoding accepts.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_UNSAFE_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def escape_control(text: str) -> str:
    """The text on one line, control characters as escapes."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escape, text)


def escape_lines(text: str) -> list[str]:
    """The lines of the text, each escaped; tabs become spaces."""
    return [escape_control(line) for line in text.expandtabs(4).replace("\r\n", "\n").split("\n")]


def escape_csv(text: str) -> str:
    """The text with line breaks kept and other control characters as escapes."""
    return _UNSAFE_LINES.sub(_escape, text.replace("\r\n", "\n"))


def escape_json(text: str) -> str:
    """Equivalent JSON with control characters as JSON escapes."""
    return _UNSAFE_LINES.sub(_json_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT_ESCAPES.get(character) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 65536:
        return f"\\u{code:04x}"
    code -= 65536
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 1023):04x}"
