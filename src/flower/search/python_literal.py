"""Safe evaluation of the Python literals in events.

Celery writes arguments with its own `saferepr`, which differs from Python's `repr`: it truncates strings and appends
`...`, does not escape backslashes, and shows bytes without quotes or as hexadecimal digits. Such text can still be a
valid literal, but of a value that was never passed. `parse_literal` reads the text by Python's rules;
`parse_literal_strict` returns a value only if it is the only possible one.
"""

import ast
import re
from typing import Any

#: Longer text is not parsed: real arguments are shorter, and parsing uses memory proportional to the length.
MAX_LITERAL_LENGTH = 65_536

_NOT_A_REPR = re.compile(r"""\\[^\\'"abfnrtvxNuU0-7\n]""")
_LOST_BACKSLASH = re.compile(r"\\[^']")


def parse_literal(text: str) -> Any:
    """The value of the literal, by `ast.literal_eval`. Raises ValueError if the text is not a literal."""
    # An invalid escape sequence would make the compiler print a warning.
    if len(text) > MAX_LITERAL_LENGTH or _NOT_A_REPR.search(text.replace("\\\\", "")):
        raise ValueError("not a literal")
    try:
        return ast.literal_eval(text)
    # TypeError: a list as a key. MemoryError, RecursionError: brackets or operators nested thousands of levels deep.
    # SystemError: CPython 3.11 counts the depth for all threads together, and two can parse at once.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, SystemError) as error:
        raise ValueError("not a literal") from error


def parse_literal_strict(text: str) -> Any:
    """The value that was passed. Raises ValueError if the text was truncated or is ambiguous."""
    if _LOST_BACKSLASH.search(text):
        raise ValueError("ambiguous backslashes")
    value = parse_literal(text)
    is_ambiguous = any(marker in text for marker in ("...", "b'", 'b"'))
    if is_ambiguous and any(_is_truncated(leaf) for leaf in _leaves(value)):
        raise ValueError("truncated, or bytes shown as text")
    return value


def is_whole(value: object) -> bool:
    """Whether a value of `parse_literal` is complete: it contains no `...`."""
    return all(leaf is not ... for leaf in _leaves(value))


def _leaves(value: object) -> list[object]:
    """Keys and values at every depth. Iterative, because the depth is controlled by the sender."""
    leaves: list[object] = []
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set):
            pending.extend(item)
        else:
            leaves.append(item)
    return leaves


def _is_truncated(leaf: object) -> bool:
    return leaf is ... or isinstance(leaf, bytes) or (isinstance(leaf, str) and leaf.endswith("..."))
