"""CSV as defined by RFC 4180, safe to open in a spreadsheet: text that a spreadsheet would evaluate as a formula gets a
leading apostrophe. A formula can start programs and fetch URLs."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from flower.api.json_encoder import dump_json

_FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def format_csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Lines of CSV from texts, for instance of `escape_csv_formula`. Lone surrogates are escaped: `\\udc80`."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def format_csv_cell(value: Any) -> str:
    """A value as text; "" for None, JSON for nested values."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            return dump_json(value).decode()


def escape_csv_formula(value: Any) -> str:
    """A value as text that is no formula; numbers are left as they are."""
    text = format_csv_cell(value)
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) and not isinstance(value, int | float) else text
