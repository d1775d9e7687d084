"""Decode path, query string and JSON body into structs, with error messages that state the valid values."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from flower.errors import InvalidRequest
from flower.search.did_you_mean import did_you_mean

T = TypeVar("T", bound=msgspec.Struct)


@cache
def parameter_schemas(kind: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each parameter, for the document and for error messages."""
    _, components = msgspec.json.schema_components([kind], ref_template="{name}")
    # Through JSON text: defaults that are tuples become lists, as in the document.
    properties: dict[str, dict[str, Any]] = json.loads(msgspec.json.encode(components[kind.__name__]["properties"]))
    for schema in properties.values():
        for values in (schema, schema.get("items", {})):
            if "enum" in values:  # msgspec omits the type
                values["type"] = "string"
    return properties


def parse_params(kind: type[T], path: Mapping[str, str], query: Iterable[tuple[str, str]]) -> T:
    """Raises InvalidRequest for an unknown, repeated or invalid parameter."""
    known = parameter_schemas(kind)
    given: dict[str, str | list[str]] = dict(path)
    for name, text in query:
        if name not in known or name in path:
            raise InvalidRequest(f"Unknown parameter '{name}'", hint=_suggest_parameter(name, known, path))
        if name in given:
            raise InvalidRequest(f"Parameter '{name}' is repeated", hint="separate the values of a list with commas")
        given[name] = text
    given = {name: text for name, text in given.items() if text or name in path}
    for name in given:
        if known[name].get("type") == "array":
            given[name] = [word.strip() for word in str(given[name]).split(",") if word.strip()]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid_parameter(error, given, known) from None


def parse_body(kind: type[T], text: bytes) -> T:
    """Decode a JSON object. Raises InvalidRequest; the message contains the path of the invalid value."""
    try:
        return msgspec.json.decode(text or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Invalid request body: {error}", hint="see /api/v1/docs") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The request body is not JSON: {error}", hint="send an object such as {}") from None


def _suggest_parameter(name: str, known: Mapping[str, Any], path: Mapping[str, str]) -> str:
    others = [other for other in known if other not in path]
    return did_you_mean(name, others) if others else "this route has no query parameters"


def _invalid_parameter(
    error: msgspec.ValidationError, given: Mapping[str, Any], known: Mapping[str, dict[str, Any]]
) -> InvalidRequest:
    """msgspec's message ends with the path of the value, such as "at `$.limit`"."""
    name = str(error).rpartition("$.")[2].rstrip("`").partition("[")[0]
    if name not in given:
        return InvalidRequest(str(error))
    value = given[name]
    text = ",".join(value) if isinstance(value, list) else value
    return InvalidRequest(f"Invalid {name} '{text}'", hint=f"{name} must be {describe_type(known[name])}")


def describe_type(schema: Mapping[str, Any]) -> str:
    """The valid values of a parameter, as the end of the sentence "x must be …"."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        quantity = "one or more" if schema.get("minItems") else "a comma-separated list"
        return f"{quantity} of {_describe_items(schema['items'])}"
    nouns = {"integer": "an integer", "number": "a number", "boolean": "true or false"}
    noun = nouns.get(schema.get("type", ""), "text")
    low, high = schema.get("minimum"), schema.get("maximum")
    return noun if low is None and high is None else f"{noun} from {low} to {high}"


def _describe_items(schema: Mapping[str, Any]) -> str:
    values = schema.get("enum", ["texts"])
    for alternative in schema.get("anyOf", []):
        values = alternative.get("enum", values)
    return ", ".join(map(str, values))
