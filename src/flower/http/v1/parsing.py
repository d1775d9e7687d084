"""Query string and path → a struct of parameters. What is wrong is said with what would be right."""

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
    """The JSON schema of each parameter: what the document prints, and what errors explain."""
    _, components = msgspec.json.schema_components([kind], ref_template="{name}")
    # by way of text: defaults that are tuples become lists, as in the document
    properties: dict[str, dict[str, Any]] = json.loads(msgspec.json.encode(components[kind.__name__]["properties"]))
    for schema in properties.values():
        for values in (schema, schema.get("items", {})):
            if "enum" in values:  # msgspec leaves out what it takes to be obvious
                values["type"] = "string"
    return properties


def parse_parameters(kind: type[T], path: Mapping[str, str], query: Iterable[tuple[str, str]]) -> T:
    """Raises Invalid for what is unknown, given twice, or beyond its limits."""
    known = parameter_schemas(kind)
    given: dict[str, str | list[str]] = dict(path)
    for name, text in query:
        if name not in known or name in path:
            raise InvalidRequest(f"There is no parameter '{name}' here", hint=_suggest_parameter(name, known, path))
        if name in given:
            raise InvalidRequest(f"The parameter '{name}' is given twice", hint="lists are written with commas: a,b")
        given[name] = text
    given = {name: text for name, text in given.items() if text or name in path}
    for name in given:
        if known[name].get("type") == "array":
            given[name] = [word.strip() for word in str(given[name]).split(",") if word.strip()]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _describe_error(error, given, known) from None


def parse_body(kind: type[T], text: bytes) -> T:
    """A JSON object. Raises Invalid, with the place of what is wrong."""
    try:
        return msgspec.json.decode(text or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The body is not as it should be: {error}", hint="see the document of the API") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}", hint="an object such as {}") from None


def _suggest_parameter(name: str, known: Mapping[str, Any], path: Mapping[str, str]) -> str:
    others = [other for other in known if other not in path]
    return did_you_mean(name, others) if others else "this address takes none"


def _describe_error(
    error: msgspec.ValidationError, given: Mapping[str, Any], known: Mapping[str, dict[str, Any]]
) -> InvalidRequest:
    """msgspec says `… - at `$.limit``; we say which value it was, and what may stand there."""
    place = str(error).rpartition("$.")[2].rstrip("`")
    name = place.partition("[")[0]
    if name not in given:
        return InvalidRequest(str(error))
    text = given[name]
    word = ",".join(text) if isinstance(text, list) else text
    return InvalidRequest(f"'{word}' is not possible for {name}", hint=f"it is {describe_type(known[name])}")


def describe_type(schema: Mapping[str, Any]) -> str:
    """What a parameter may be, in words."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        least = "one or more" if schema.get("minItems") else "a list, with commas between,"
        return f"{least} of {', '.join(map(str, schema['items'].get('enum', ['texts'])))}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    word = words.get(schema.get("type", ""), "a text")
    low, high = schema.get("minimum"), schema.get("maximum")
    return word if low is None and high is None else f"{word} from {low} to {high}"
