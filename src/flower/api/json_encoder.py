"""JSON encoding of responses and exports: msgspec's encoder, with a fallback for values that it rejects."""

import json
import math
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def dump_json(value: Any) -> bytes:
    """The value as JSON. Values that msgspec rejects (lone surrogates, keys that are not text, integers beyond 64 bits)
    are encoded by the slower `json` module."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        plain = msgspec.to_builtins(value, builtin_types=(msgspec.Raw,), str_keys=True, enc_hook=str)
        return json.dumps(_replace_non_finite(plain), ensure_ascii=True).encode()


def _replace_non_finite(value: Any) -> Any:
    """NaN and infinity become null, as in msgspec; `Raw` JSON is decoded."""
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
    """The value if it can be encoded as JSON, otherwise its repr, as in Flower."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value
