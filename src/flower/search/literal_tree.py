"""Parser of Python literals that keeps the text of every leaf.

`20.0` stays `20.0` and `<Order: 17>` stays readable, so that a client can show a value as the worker wrote it. Nothing
is evaluated: `datetime.date(2026, 1, 2)` is an `object` leaf with that text. Parsing takes time proportional to the
length of the text.
"""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from flower.search.python_literal import MAX_LITERAL_LENGTH, parse_literal

MAX_LITERAL_DEPTH = 100

NodeKind: TypeAlias = Literal["dict", "list", "tuple", "set", "string", "bytes", "number", "constant", "object"]

_STRING = re.compile(r"""(?:[rbuf]|br|rb)?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(
    r"[-+]?(?:0[xob][\da-f]++|(?:\d[\d_]*+(?:\.\d*+)?|\.\d++)(?:e[-+]?\d++)?j?)(?![\w.])|[-+]?(?:inf|nan)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_KEYWORD = re.compile(r"[A-Za-z_]\w*=")
_SPACE = re.compile(r"\s*")


class LiteralItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of a container; `key` is set in dicts only."""

    value: "LiteralNode"
    key: "LiteralNode | None" = None


class LiteralNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """A container with `items`, or a leaf with its `text`. `value` is the decoded text of a string.

    An `object` is everything that is not a literal, such as a call or a repr in angle brackets; `...` marks items that
    the sender left out. A `constant` is a name: None, True, False or another one.
    """

    kind: NodeKind
    text: str | None = None
    value: str | None = None
    items: tuple[LiteralItem, ...] | None = None


def parse_literal_tree(text: str | None) -> LiteralNode | None:
    """The tree of a complete literal; None if the text is truncated, longer than `MAX_LITERAL_LENGTH`, nested deeper
    than `MAX_LITERAL_DEPTH`, or not a literal."""
    if text is None or len(text) > MAX_LITERAL_LENGTH:
        return None
    parser = _LiteralParser(text)
    try:
        node = parser.parse_value(0)
        return node if parser.is_at_end() else None
    except ValueError:
        return None


def find_literal_node(node: LiteralNode | None, keys: Sequence[str]) -> LiteralNode | None:
    """The node at a path of keys and indexes: `["customer", "id"]`, `["items", "0"]`. Keys ignore case."""
    for key in keys:
        if node is None or node.items is None:
            return None
        node = _find_item(node, key)
    return node


def _find_item(node: LiteralNode, key: str) -> LiteralNode | None:
    items = node.items or ()
    if node.kind == "dict":
        folded = key.casefold()
        return next((item.value for item in items if item.key and leaf_text(item.key).casefold() == folded), None)
    return items[int(key)].value if key.isdecimal() and int(key) < len(items) else None


def leaf_text(node: LiteralNode) -> str:
    """The characters of a string, the text of any other leaf, "" for a container."""
    return node.value if node.value is not None else node.text or ""


class _LiteralParser:
    """Recursive-descent parser of one literal. Methods raise ValueError if the text is not a literal."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def is_at_end(self) -> bool:
        self._skip_space()
        return self._position == len(self._text)

    def parse_value(self, depth: int) -> LiteralNode:
        if depth > MAX_LITERAL_DEPTH:
            raise ValueError("nested too deeply")
        self._skip_space()
        start = self._position
        if self._take("..."):  # the sender left items out
            return LiteralNode("object", "...")
        match self._text[start : start + 1]:
            case "[":
                return self._parse_sequence("list", "]", depth)
            case "(":
                return self._parse_sequence("tuple", ")", depth)
            case "{":
                return self._parse_braces(depth)
            case "<":
                return self._parse_angle_brackets()
        if (string := self._match(_STRING)) is not None:
            return _parse_string(string)
        if (number := self._match(_NUMBER)) is not None:
            return LiteralNode("number", number)
        if self._match(_NAME) is None:
            raise ValueError("not a literal")
        if self._text[self._position : self._position + 1] == "(":
            self._skip_call(depth)
            return LiteralNode("object", self._text[start : self._position])
        return LiteralNode("constant", self._text[start : self._position])

    def _parse_sequence(self, kind: NodeKind, end: str, depth: int) -> LiteralNode:
        self._position += 1
        items: list[LiteralItem] = []
        while not self._take(end):
            items.append(LiteralItem(self.parse_value(depth + 1)))
            if self._consume_end(end):
                break
        return LiteralNode(kind, items=tuple(items))

    def _parse_braces(self, depth: int) -> LiteralNode:
        self._position += 1
        items: list[LiteralItem] = []
        while not self._take("}"):
            first = self.parse_value(depth + 1)
            items.append(LiteralItem(self.parse_value(depth + 1), first) if self._take(":") else LiteralItem(first))
            if self._consume_end("}"):
                break
        is_set = items and all(item.key is None for item in items)
        return LiteralNode("set" if is_set else "dict", items=tuple(items))

    def _consume_end(self, end: str) -> bool:
        """Consume the end of the container or a comma. Return whether the container has ended."""
        if self._take(","):
            return False
        if self._take(end):
            return True
        raise ValueError("the container is not closed")

    def _parse_angle_brackets(self) -> LiteralNode:
        """A repr such as `<Order: <17>>`."""
        start, depth = self._position, 0
        while self._position < len(self._text):
            depth += {"<": 1, ">": -1}.get(self._text[self._position], 0)
            self._position += 1
            if depth == 0:
                return LiteralNode("object", self._text[start : self._position])
        raise ValueError("the object is not closed")

    def _skip_call(self, depth: int) -> None:
        self._position += 1
        while not self._take(")"):
            self._skip_space()
            self._match(_KEYWORD)
            self.parse_value(depth + 1)
            if self._consume_end(")"):
                break

    def _take(self, symbol: str) -> bool:
        self._skip_space()
        if not self._text.startswith(symbol, self._position):
            return False
        self._position += len(symbol)
        return True

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        return match[0]

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position


def _parse_string(text: str) -> LiteralNode:
    prefix = text[: min(text.find(quote) for quote in "'\"" if quote in text)].lower()
    if "b" in prefix:
        return LiteralNode("bytes", text)
    try:
        value = parse_literal(text)
    except ValueError:  # Celery does not escape backslashes: '\xq'
        value = text[len(prefix) + 1 : -1]
    return LiteralNode("string", text, value if isinstance(value, str) else text)
