"""Values from other processes (status file, worker replies, management API), accepted only with the expected type."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def convert_or_none(value: Any, expected_type: type[T]) -> T | None:
    """The value if it has the expected type, else None. An integer is a valid float; True is not a number."""
    try:
        return msgspec.convert(value, expected_type)
    except (msgspec.ValidationError, OverflowError):
        return None
