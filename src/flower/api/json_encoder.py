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
        plain = msgspec.to_builtins(_with_text_keys(value), builtin_types=(msgspec.Raw,), str_keys=True, enc_hook=str)
        return json.dumps(_replace_non_finite(plain), ensure_ascii=True).encode()


def _with_text_keys(value: Any) -> Any:
    """The value with the keys of dicts as text, as in the `json` module; other objects as keys by their repr."""
    match value:
        case dict():
            return {_key_text(key): _with_text_keys(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_text_keys(item) for item in value]
        case msgspec.Struct():
            fields = msgspec.structs.fields(value)
            return {each.encode_name: _with_text_keys(getattr(value, each.name)) for each in fields}
    return value


def _key_text(key: Any) -> Any:
    match key:
        case None | bool():
            return json.dumps(key)
        case str() | int() | float():
            return key
    return repr(key)


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
