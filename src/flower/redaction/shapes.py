"""Corpus of shapes: texts whose secrets must be masked, and texts that must remain. Measures how well rules do both."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from flower.errors import InvalidRequest
from flower.redaction.redactor import Redactor

PLACEHOLDER: Final = "{secret}"
DEFAULT_SECRET: Final = "hunter2-Xk9q7Zw3"  # noqa: S105 - an example

_KEYS: Final = {"mask": {"name", "text", "secret", "keeps"}, "keep": {"name", "text"}}


@dataclass(frozen=True, slots=True)
class Shape:
    """A text. `secret`: must not be in the masked text; None if the text must remain as it is. `keeps`: parts that must
    be in the masked text."""

    name: str
    text: str
    secret: str | None = None
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A shape that the rules do not treat as required, and the text that they return."""

    shape: Shape
    masked: str
    problem: str


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """Numbers of shapes, and the shapes that the rules do not treat as required."""

    masked: int
    missed: int
    over_masked: int
    kept: int
    findings: tuple[Finding, ...]

    @property
    def recall(self) -> float:
        """Part of the secrets that are masked."""
        return self.masked / max(1, self.masked + self.missed)

    @property
    def precision(self) -> float:
        """Masked secrets as a part of these and of the cases in which other text was masked."""
        return self.masked / max(1, self.masked + self.over_masked)


def load_shapes(path: Path | None = None) -> list[Shape]:
    """The shapes of a file; None: those of the package. Raises InvalidRequest."""
    source = path or files("flower.redaction") / "shapes.toml"
    try:
        content = tomllib.loads(source.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"Cannot read {source}: {error}", hint="the format is that of redaction/shapes.toml"
        ) from error
    if unknown := content.keys() - _KEYS.keys():
        raise InvalidRequest(f"{source}: unknown table '{min(unknown)}'", hint="use [[mask]] and [[keep]]")
    return [_parse_shape(kind, item, source) for kind in _KEYS for item in content.get(kind, ())]


def check_shapes(redactor: Redactor, shapes: Sequence[Shape]) -> ShapeReport:
    """Mask each text and compare."""
    masked = missed = over_masked = kept = 0
    findings: list[Finding] = []
    for shape in shapes:
        result = redactor.mask_text(shape.text)
        if shape.secret is None:
            problem = "" if result == shape.text else "masked without a secret"
            kept += not problem
            over_masked += bool(problem)
        elif shape.secret in result:
            problem = "secret not masked"
            missed += 1
        else:
            masked += 1
            problem = "" if all(part in result for part in shape.keeps) else "more masked than the secret"
            over_masked += bool(problem)
        if problem:
            findings.append(Finding(shape, result, problem))
    return ShapeReport(masked, missed, over_masked, kept, tuple(findings))


def _parse_shape(kind: str, item: Any, source: object) -> Shape:
    name = item.get("name", "?") if isinstance(item, dict) else "?"
    if not isinstance(item, dict) or not isinstance(item.get("text"), str) or not isinstance(name, str):
        raise InvalidRequest(f"{source}: [[{kind}]] '{name}' has no text", hint="each shape requires `name` and `text`")
    if unknown := item.keys() - _KEYS[kind]:
        raise InvalidRequest(f"{source}: [[{kind}]] '{name}': unknown key '{min(unknown)}'")
    if kind == "keep":
        return Shape(name, item["text"])
    secret, keeps = item.get("secret", DEFAULT_SECRET), item.get("keeps", [])
    if not isinstance(secret, str) or not secret or PLACEHOLDER not in item["text"]:
        raise InvalidRequest(
            f"{source}: [[mask]] '{name}' has no secret", hint=f"write {PLACEHOLDER} where the secret is in `text`"
        )
    if not isinstance(keeps, list) or not all(isinstance(part, str) for part in keeps):
        raise InvalidRequest(f"{source}: [[mask]] '{name}': `keeps` must be a list of texts")
    return Shape(name, item["text"].replace(PLACEHOLDER, secret), secret, tuple(keeps))
