"""Which failures count as the same: those of one exception class, with the same message once numbers and ids are
masked, raised in the same place of the user's own code.

It runs for each failed task while events come in. So it looks at the start of the message and the end of the traceback
only, goes over both once, and its patterns never go back over text that they have read (hostile text is bounded by
that, not by a clock).
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from flower.text_encoding import escape_surrogates

#: Characters of a message that are looked at, and kept once they are masked. Fewer are kept, so that long numbers at
#: the start do not push different words out at the end.
_MAX_MESSAGE_LENGTH: Final = 500
_MAX_NORMALIZED_LENGTH: Final = 300
#: Characters at the end of a traceback that are looked at.
_MAX_TRACEBACK_LENGTH: Final = 16_000
_MAX_NAME_LENGTH: Final = 200
#: Of an exception whose text does not tell its class.
UNKNOWN_EXCEPTION: Final = "unknown"


class Fingerprint(msgspec.Struct, frozen=True):
    """`id` is 16 hexadecimal digits, the same for the same three parts, in every process and version."""

    id: str
    #: the class, with its module if the text tells it
    exception: str
    #: the message with numbers and ids masked
    message: str
    #: the innermost frame of the user's code, "path/file.py:function"; None if there is no traceback
    frame: str | None


def compute_fingerprint(exception: str | None, traceback: str | None) -> Fingerprint | None:
    """`exception`: its repr as the event brought it, `traceback`: as Python prints it. Both may be cut or be something
    else altogether. None if there is neither."""
    if not exception and not traceback:
        return None
    line, frame = _read_traceback(traceback) if traceback else ("", None)
    raised, said = _parse_exception_line(line)
    if exception:
        name, message = _parse_exception_repr(escape_surrogates(exception[: _MAX_MESSAGE_LENGTH + _MAX_NAME_LENGTH]))
    else:
        name, message = "", said
    # the traceback tells the module, but may be that of another exception
    if not name or raised.rpartition(".")[2] == name.rpartition(".")[2]:
        name = raised or name
    return _build_fingerprint(
        name[:_MAX_NAME_LENGTH] or UNKNOWN_EXCEPTION, normalize_message(message[:_MAX_MESSAGE_LENGTH]), frame
    )


def fingerprint_to_int(fingerprint: Fingerprint) -> int:
    """The id as 64 bits without sign; never 0, which stands for none."""
    return int(fingerprint.id, 16) or 1


def exception_class_id(name: str) -> int:
    """64 bits without sign for a class, the same in every process and version; never 0."""
    return int.from_bytes(_digest(name), "big") or 1


def _build_fingerprint(name: str, message: str, frame: str | None) -> Fingerprint:
    return Fingerprint(_digest(f"{name}\0{message}\0{frame or ''}").hex(), name, message, frame)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


# --- the exception's repr

_CALL = re.compile(r"([^\W\d][\w.]*+)\(")
_ANGLE = re.compile(r"<(?:class ')?([^\W\d][\w.]*+)[ :>']*+")
_WITH_COLON = re.compile(r"([^\W\d][\w.]*+)(?:: |$)")


def _parse_exception_repr(text: str) -> tuple[str, str]:
    """Class ("" if the text does not tell) and message."""
    if found := _CALL.match(text):
        return found[1], _parse_exception_arguments(text[found.end() :])
    if found := _ANGLE.match(text):
        return found[1], text[found.end() :].removesuffix(">")
    if (found := _WITH_COLON.match(text)) and (found[1][0].isupper() or "." in found[1]):
        return found[1], text[found.end() :]
    return "", text


def _parse_exception_arguments(text: str) -> str:
    """A single string as it is, several arguments as they are written."""
    if text.endswith("..."):
        # it was cut, most likely within a word
        text = text[:-3].rpartition(" ")[0] or text[:-3]
    text = text.removesuffix(")").removesuffix(",")
    quote = text[:1]
    if quote in ("'", '"') and f"{quote}, " not in text:
        text = text[1:].removesuffix(quote)
    return text


# --- the traceback

_HEADER = "Traceback (most recent call last):"
_GROUP = f"  + Exception Group {_HEADER}"
_FRAME = '\n  File "'
_CLASS = re.compile(r"[^\W\d][\w.<>]*+$")
#: What follows the frames: they and their code are indented.
_UNINDENTED = re.compile(r"\n[^ \n]")


def _read_traceback(text: str) -> tuple[str, str | None]:
    """The line that names the exception ("" if there is none) and the innermost frame of the user's code.

    Of chained tracebacks the last one is that of what was raised in the end, of a group's that of the group."""
    end = text[-_MAX_TRACEBACK_LENGTH:]
    if len(text) > _MAX_TRACEBACK_LENGTH and _FRAME not in end:
        # nothing but a long message
        end = text[:_MAX_TRACEBACK_LENGTH]
    raised = _final_exception("\n" + escape_surrogates(end))
    first = raised.find(_FRAME)
    if first < 0:
        lines = [line for line in raised.split("\n") if line.strip() and line != _HEADER]
        return (lines[-1] if lines else ""), None
    after = _UNINDENTED.search(raised, first + 1)
    stop = after.start() if after else len(raised)
    # notes and further lines of the message may follow
    return raised[stop + 1 :].partition("\n")[0], _innermost_user_frame(raised, stop)


def _final_exception(text: str) -> str:
    start = text.rfind(f"\n{_HEADER}")
    group = text.rfind(f"\n{_GROUP}")
    if group > start:
        return text[group:].replace("\n  | ", "\n")
    return text[start:] if start > 0 else text


def _parse_exception_line(line: str) -> tuple[str, str]:
    """`pkg.Error: message`; ("", "") if the line is none of that kind."""
    name, _, message = line[: _MAX_MESSAGE_LENGTH + _MAX_NAME_LENGTH].partition(": ")
    return (name, message) if len(name) <= _MAX_NAME_LENGTH and _CLASS.match(name) else ("", "")


def _innermost_user_frame(text: str, stop: int) -> str | None:
    """Of the frames before `stop`."""
    innermost = None
    start = text.rfind(_FRAME, 0, stop)
    while start >= 0:
        line = text[start + len(_FRAME) : stop].partition("\n")[0]
        path, _, rest = line.rpartition('", line ')
        function = rest.partition(", in ")[2]
        if function:  # a place without one is where a SyntaxError is: no frame
            place, own = _shorten_path(path[-_MAX_NAME_LENGTH:])
            found = f"{place}:{function[:_MAX_NAME_LENGTH]}"
            if own:
                return found
            innermost = innermost or found
        stop, start = start, text.rfind(_FRAME, 0, start)
    return innermost


_LIBRARY = re.compile(
    r"(?:site|dist)-packages/|/lib(?:64)?/(?:python|pypy)\d|/python3?\d*/lib/|<frozen ", re.IGNORECASE
)
#: A folder named after a release: a version, a date, a commit.
_RELEASE = re.compile(r"[vr]?[\d._-]+|(?=\D*\d)[0-9a-f]{7,40}", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _shorten_path(path: str) -> tuple[str, bool]:
    """The end of the path, and whether this is the user's code."""
    path = path.replace("\\", "/")
    *folders, file = path.split("/")[-3:]
    return "/".join((*("#" if _RELEASE.fullmatch(f) else f for f in folders), file)), not _LIBRARY.search(path)


# --- masking

#: What might have to be masked: a quoted word, or a word with a digit or an @ in it.
_BREAK: Final = r"""\s'"()<>{}\[\]=;!?/\\|&#*^~`$"""
_TOKEN = re.compile(
    rf"""(['"])([\w.:+-]{{1,64}})\1|(?<![^{_BREAK}])[^{_BREAK}\d@]*+[\d@][^{_BREAK}]*+""",
)
_SUSPICIOUS = re.compile(r"[\d@]")
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d+(?:[.,]\d+)*")
_PART = re.compile(r"[^\W_]++")
_HEX = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)
#: Whole tokens, the first that fits.
_KNOWN = re.compile(
    r"""(?P<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})
    |(?P<time>\d{4}-\d\d-\d\d(?:[t_]\d[\d:.,]*+(?:z|[+-]\d\d:?\d\d)?)?
        |\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+-]\d\d:?\d\d)?)
    |(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|(?=.*:.*:)[0-9a-f:.]++)
    |(?P<number>0x[0-9a-f]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def normalize_message(message: str) -> str:
    """The message without what differs from one task to the next: numbers as #, times, ids, e-mail and network
    addresses as <time>, <id>, <email> and <ip>."""
    if _SUSPICIOUS.search(message):
        message = _TOKEN.sub(_normalize_token, message).replace("<time> <time>", "<time>")
    return message[:_MAX_NORMALIZED_LENGTH]


def _normalize_token(found: re.Match[str]) -> str:
    token = found[0]
    if not _SUSPICIOUS.search(token):
        return token
    if found[1]:
        return f"{found[1]}{_normalize_quoted(found[2])}{found[1]}"
    return _normalize_word(token)


def _normalize_quoted(word: str) -> str:
    """Quoted, a word with two digits, or with one and a capital, is an id; `'utf-8'` is not."""
    known = _normalize_word(word)
    if "<" in known or known == "#":
        return known
    digits = sum(map(str.isdigit, word))
    return "<id>" if digits > 1 or word != word.lower() else known


def _normalize_word(word: str) -> str:
    core = word.rstrip(".,:")
    tail = word[len(core) :]
    if "@" in core:
        return ("<email>" if "." in core.partition("@")[2] else _NUMBER.sub("#", core)) + tail
    if known := _KNOWN.fullmatch(core):
        return ("#" if known.lastgroup == "number" else f"<{known.lastgroup}>") + tail
    if len(core) >= 7:
        core = _PART.sub(_normalize_part, core)
    return _NUMBER.sub("#", core) + tail


def _normalize_part(found: re.Match[str]) -> str:
    part = found[0]
    if len(part) < 7 or part.isalpha() or part.isdigit():
        return part
    if _HEX.fullmatch(part) or (len(part) >= 12 and sum(map(str.isdigit, part)) >= 3):
        return "<id>"
    return part
