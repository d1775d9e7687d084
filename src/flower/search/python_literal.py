"""The Python literals in the text of events: read safely, and told apart from what only looks like one.

Celery writes arguments with its own `saferepr`, which is not Python's `repr`: it cuts strings and ends them
with `...`, leaves backslashes as they are, and shows bytes unquoted or as hexadecimal digits. Such text can
still be a valid literal, of a value that was never passed. `literal` reads the text by Python's rules;
`exact_literal` gives only values that can have been no other.
"""

import ast
import re
from typing import Any

#: Longer text is left alone: nobody's arguments are that long, and reading costs memory by the length.
MAX_LITERAL_LENGTH = 65_536

_NOT_A_REPR = re.compile(r"""\\[^\\'"abfnrtvxNuU0-7\n]""")
_LOST_BACKSLASH = re.compile(r"\\[^']")


def parse_literal(text: str) -> Any:
    """The value that the text spells, by `ast.literal_eval`. Raises ValueError if it spells none."""
    # A backslash that escapes nothing would make the compiler warn on standard error.
    if len(text) > MAX_LITERAL_LENGTH or _NOT_A_REPR.search(text.replace("\\\\", "")):
        raise ValueError("not a literal")
    try:
        return ast.literal_eval(text)
    # TypeError: a list as a key. The last two: brackets or signs nested thousands deep.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("not a literal") from error


def parse_literal_strict(text: str) -> Any:
    """The value that was passed. Raises ValueError if the text was cut or could stand for another value."""
    if _LOST_BACKSLASH.search(text):
        raise ValueError("its backslashes may be the value's own or Python's")
    value = parse_literal(text)
    doubtful = any(sign in text for sign in ("...", "b'", 'b"'))
    if doubtful and any(_is_truncated(leaf) for leaf in _leaves(value)):
        raise ValueError("it was cut, or bytes are shown as text")
    return value


def is_whole(value: object) -> bool:
    """Whether nothing was left out of a value that `literal` read."""
    return all(leaf is not ... for leaf in _leaves(value))


def _leaves(value: object) -> list[object]:
    """Keys and values at every depth; flat, because the depth is the sender's choice."""
    leaves: list[object] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)
        else:
            leaves.append(item)
    return leaves


def _is_truncated(leaf: object) -> bool:
    return leaf is ... or isinstance(leaf, bytes) or (isinstance(leaf, str) and leaf.endswith("..."))
