"""JSON encoding of answers: msgspec's encoder, with a fallback for values that it rejects."""

import json
import math
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def dump_json(value: Any) -> bytes:
    """JSON, quickly; and for what the quick way refuses (lone surrogates, odd keys) the patient one."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        plain = msgspec.to_builtins(value, builtin_types=(msgspec.Raw,), str_keys=True, enc_hook=str)
        return json.dumps(_replace_non_finite(plain), ensure_ascii=True).encode()


def _replace_non_finite(value: Any) -> Any:
    """Numbers that JSON does not have become null, as the quick way does it; what is JSON already becomes a value."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _replace_non_finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_replace_non_finite(item) for item in value]
        case msgspec.Raw():
            return json.loads(bytes(value))
    return value


def to_json_safe(value: Any) -> Any:
    """A task's result as JSON can carry it; anything else as its repr, as Flower does."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value
