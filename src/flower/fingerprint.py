"""Fingerprint of a failure: failures with the same exception class, raised by the same code, belong to one group.

The code is the innermost functions of the user's code and the source line at which it left that code. The message
(numbers and ids masked) is compared only without such a traceback, because one defect can have many messages.

The fingerprint of each failed task is computed while events are captured. Therefore only the start of the message and
the end of the traceback are read, once each, and no pattern backtracks over text that it has consumed: the time for
hostile text is bounded without a timer.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from flower.surrogates import escape_surrogates

#: Characters of a message that are read, and the maximum length of the normalized message. The second is smaller, so
#: that long numbers at the start do not push different words over the end.
_MAX_MESSAGE_LENGTH: Final = 500
_MAX_NORMALIZED_LENGTH: Final = 300
#: Characters that are read, from the end of the traceback.
_MAX_TRACEBACK_LENGTH: Final = 16_000
_MAX_NAME_LENGTH: Final = 200
#: Class of an exception whose text does not name one.
UNKNOWN_EXCEPTION: Final = "unknown"


#: Functions of the user's code that are compared, the innermost ones.
_MAX_FRAMES: Final = 5


class Fingerprint(msgspec.Struct, frozen=True):
    """`id` is 16 hexadecimal digits, the same in every process. The other parts are those of this failure: `message`
    may differ within a group."""

    id: str
    #: the class, with its module if known
    exception: str
    #: the message with numbers and ids masked
    message: str
    #: the innermost frame of the user's code, "path/file.py:function"; None without a traceback
    frame: str | None


def compute_fingerprint(exception: str | None, traceback: str | None) -> Fingerprint | None:
    """`exception` is a repr, `traceback` the text that Python prints; both may be truncated or arbitrary text. Return
    None if there is neither."""
    if not exception and not traceback:
        return None
    failure = _read_failure(exception, traceback)
    message = normalize_message(failure.message)
    return Fingerprint(_find_group(failure).hex(), failure.name, message, failure.frame)


def compute_failure_ids(exception: str | None, traceback: str | None) -> tuple[int, int] | None:
    """Return `exception_class_id` and `fingerprint_to_int` of the fingerprint, without the parts that only readers
    need; None if there is neither exception nor traceback."""
    if not exception and not traceback:
        return None
    failure = _read_failure(exception, traceback)
    return exception_class_id(failure.name), int.from_bytes(_find_group(failure), "big") or 1


class _Failure(NamedTuple):
    """The parts of a failure that are compared. `code` is empty if failures are compared by message and frame."""

    name: str
    message: str
    frame: str | None
    code: str


def _read_failure(exception: str | None, traceback: str | None) -> _Failure:
    line, frame, code = _read_traceback(traceback) if traceback else ("", None, "")
    traceback_class, traceback_message = _parse_exception_line(line)
    if exception:
        name, message = _parse_exception_repr(escape_surrogates(exception[: _MAX_MESSAGE_LENGTH + _MAX_NAME_LENGTH]))
    else:
        name, message = "", traceback_message
    # the traceback has the module name, but may belong to another exception
    is_own_traceback = not name or traceback_class.rpartition(".")[2] == name.rpartition(".")[2]
    if is_own_traceback:
        name = traceback_class or name
    name = name[:_MAX_NAME_LENGTH] or UNKNOWN_EXCEPTION
    return _Failure(name, message[:_MAX_MESSAGE_LENGTH], frame, code if is_own_traceback and traceback_class else "")


def _find_group(failure: _Failure) -> bytes:
    if failure.code:
        return _digest(f"{failure.name}\0\0{failure.code}")
    return _digest(_describe_message(failure.name, normalize_message(failure.message), failure.frame))


def message_id(name: str, message: str, frame: str | None) -> str:
    """The id of a failure without a traceback of the user's code; in earlier versions, of every failure."""
    return _digest(_describe_message(name, message, frame)).hex()


def _describe_message(name: str, message: str, frame: str | None) -> str:
    return f"{name}\0{message}\0{frame or ''}"


def fingerprint_to_int(fingerprint: Fingerprint) -> int:
    """The id as an unsigned 64-bit integer; never 0, which means "no fingerprint"."""
    return int(fingerprint.id, 16) or 1


@lru_cache(maxsize=4096)
def exception_class_id(name: str) -> int:
    """Unsigned 64-bit hash of a class name, the same in every process and version; never 0."""
    return int.from_bytes(_digest(name), "big") or 1


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


# --- repr of the exception

_CALL = re.compile(r"([^\W\d][\w.]*+)\(")
_ANGLE = re.compile(r"<(?:class ')?([^\W\d][\w.]*+)[ :>']*+")
_WITH_COLON = re.compile(r"([^\W\d][\w.]*+)(?:: |$)")


def _parse_exception_repr(text: str) -> tuple[str, str]:
    """Class ("" if unknown) and message."""
    if match := _CALL.match(text):
        return match[1], _parse_exception_arguments(text[match.end() :])
    if match := _ANGLE.match(text):
        return match[1], text[match.end() :].removesuffix(">")
    if (match := _WITH_COLON.match(text)) and (match[1][0].isupper() or "." in match[1]):
        return match[1], text[match.end() :]
    return "", text


def _parse_exception_arguments(text: str) -> str:
    """A single string without its quotes; several arguments unchanged."""
    if text.endswith("..."):
        # truncated, most likely within a word
        text = text[:-3].rpartition(" ")[0] or text[:-3]
    text = text.removesuffix(")").removesuffix(",")
    quote = text[:1]
    if quote in ("'", '"') and f"{quote}, " not in text:
        text = text[1:].removesuffix(quote)
    return text


# --- traceback

_HEADER = "Traceback (most recent call last):"
_GROUP = f"  + Exception Group {_HEADER}"
_FRAME = '\n  File "'
_CLASS = re.compile(r"[^\W\d][\w.<>]*+$")
#: The text after the frames. Frames and their source lines are indented.
_UNINDENTED = re.compile(r"\n[^ \n]")


def _read_traceback(text: str) -> tuple[str, str | None, str]:
    """The line that names the exception ("" if there is none), the innermost frame of the user's code, and the code
    that is compared ("" if no frame is the user's).

    Of chained tracebacks the last one is used, of an exception group that of the group.
    """
    end = text[-_MAX_TRACEBACK_LENGTH:]
    if len(text) > _MAX_TRACEBACK_LENGTH and _FRAME not in end:
        # the end of the text is a long message
        end = text[:_MAX_TRACEBACK_LENGTH]
    section = _final_exception("\n" + escape_surrogates(end))
    first = section.find(_FRAME)
    if first < 0:
        lines = [line for line in section.split("\n") if line.strip() and line != _HEADER]
        return (lines[-1] if lines else ""), None, ""
    after = _UNINDENTED.search(section, first + 1)
    stop = after.start() if after else len(section)
    # notes and further lines of the message may follow
    return section[stop + 1 :].partition("\n")[0], *_read_frames(section, stop)


def _final_exception(text: str) -> str:
    start = text.rfind(f"\n{_HEADER}")
    group = text.rfind(f"\n{_GROUP}")
    if group > start:
        return text[group:].replace("\n  | ", "\n")
    return text[start:] if start > 0 else text


def _parse_exception_line(line: str) -> tuple[str, str]:
    """Split `pkg.Error: message`. Return ("", "") for any other line."""
    name, _, message = line[: _MAX_MESSAGE_LENGTH + _MAX_NAME_LENGTH].partition(": ")
    return (name, message) if len(name) <= _MAX_NAME_LENGTH and _CLASS.match(name) else ("", "")


def _read_frames(text: str, stop: int) -> tuple[str | None, str]:
    """The innermost frame of the user's code before `stop` (of all if none is the user's), and the code that is
    compared: the innermost different functions of the user, and the source line of the innermost frame."""
    innermost = None
    code: list[str] = []
    source = ""
    end = stop
    start = text.rfind(_FRAME, 0, stop)
    while start >= 0 and len(code) < _MAX_FRAMES:
        line, _, below = text[start + len(_FRAME) : end].partition("\n")
        path, _, rest = line.rpartition('", line ')
        function = rest.partition(", in ")[2]
        if function:  # a line without a function shows the position of a SyntaxError: not a frame
            short_path, is_user_code = _shorten_path(path[-_MAX_NAME_LENGTH:])
            location = f"{short_path}:{function[:_MAX_NAME_LENGTH]}"
            if is_user_code and location not in code:
                if not code:
                    source = below.partition("\n")[0].strip()[:_MAX_NAME_LENGTH]
                code.append(location)
            innermost = innermost or location
        end, start = start, text.rfind(_FRAME, 0, start)
    return (code[0], "\n".join((*code, source))) if code else (innermost, "")


_LIBRARY = re.compile(
    r"(?:site|dist)-packages/|/lib(?:64)?/(?:python|pypy)\d|/python3?\d*/lib/|<frozen ", re.IGNORECASE
)
#: A directory named after a release: a version, a date, a commit.
_RELEASE = re.compile(r"[vr]?[\d._-]+|(?=\D*\d)[0-9a-f]{7,40}", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _shorten_path(path: str) -> tuple[str, bool]:
    """The last components of the path, and whether the file is the user's code."""
    path = path.replace("\\", "/")
    *folders, file = path.split("/")[-3:]
    return "/".join((*("#" if _RELEASE.fullmatch(name) else name for name in folders), file)), not _LIBRARY.search(path)


# --- normalization of the message

#: Candidates for masking: a quoted word, or a word with a digit or an @.
_BREAK: Final = r"""\s'"()<>{}\[\]=;!?/\\|&#*^~`$"""
_TOKEN = re.compile(
    rf"""(['"])([\w.:+-]{{1,64}})\1|(?<![^{_BREAK}])[^{_BREAK}\d@]*+[\d@][^{_BREAK}]*+""",
)
_SUSPICIOUS = re.compile(r"[\d@]")
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d+(?:[.,]\d+)*")
_PART = re.compile(r"[^\W_]++")
_HEX = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)
#: Patterns of complete tokens; the first that matches is used.
_KNOWN = re.compile(
    r"""(?P<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})
    |(?P<time>\d{4}-\d\d-\d\d(?:[t_]\d[\d:.,]*+(?:z|[+-]\d\d:?\d\d)?)?
        |\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+-]\d\d:?\d\d)?)
    |(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|(?=.*:.*:)[0-9a-f:.]++)
    |(?P<number>0x[0-9a-f]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def normalize_message(message: str) -> str:
    """The message without the parts that differ between tasks: numbers become #; times, ids, e-mail and network
    addresses become <time>, <id>, <email> and <ip>."""
    if _SUSPICIOUS.search(message):
        message = _TOKEN.sub(_normalize_token, message).replace("<time> <time>", "<time>")
    return message[:_MAX_NORMALIZED_LENGTH]


def _normalize_token(match: re.Match[str]) -> str:
    token = match[0]
    if not _SUSPICIOUS.search(token):
        return token
    if match[1]:
        return f"{match[1]}{_normalize_quoted(match[2])}{match[1]}"
    return _normalize_word(token)


def _normalize_quoted(word: str) -> str:
    """A quoted word with two digits, or with one digit and a capital letter, is an id; `'utf-8'` is not."""
    normalized = _normalize_word(word)
    if "<" in normalized or normalized == "#":
        return normalized
    digits = sum(map(str.isdigit, word))
    return "<id>" if digits > 1 or word != word.lower() else normalized


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


def _normalize_part(match: re.Match[str]) -> str:
    part = match[0]
    if len(part) < 7 or part.isalpha() or part.isdigit():
        return part
    if _HEX.fullmatch(part) or (len(part) >= 12 and sum(map(str.isdigit, part)) >= 3):
        return "<id>"
    return part
