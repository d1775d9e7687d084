"""File with the template numbers and templates of the texts of one segment.

The file is derived from the rows and may be deleted at any time. It contains the version of each row whose texts were
split; other rows have to be read. A file is replaced as a whole and ends with a checksum of its content.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from flower.private_files import open_file
from flower.store.sqlite.store_format import TEMPLATE_FORMAT
from flower.store.sqlite.text.templates import FIRST_TEMPLATE, ColumnTemplates, Numbers

_MAGIC: Final = b"BELLTMPL"
_HEAD: Final = struct.Struct("<8sII")  # magic, length of the header's JSON, checksum of everything behind this
_PREFIX: Final = "templates-"


class TemplateFileInvalid(Exception):
    """The template file is missing, damaged or of another format."""


class _ColumnHeader(msgspec.Struct):
    #: bytes of each number
    width: int
    template_lengths: list[int]
    #: bytes of the letters in removed parts; None: unknown
    fragment_length: int | None
    #: words that are not removed, separated by line breaks; None: all
    vocabulary: str | None
    is_stopped: bool


class _Header(msgspec.Struct):
    format: int
    generation: str
    columns_id: int
    count: int
    version_width: int
    columns: dict[str, _ColumnHeader]


@dataclass(frozen=True)
class SegmentTemplates:
    """The templates of a segment, as of the `versions` of its rows."""

    #: generation of the text index, which names the rules by which texts are casefolded
    generation: str
    #: `Columns.instance_id` of the columns that the versions belong to
    columns_id: int
    versions: Numbers
    numbers: Mapping[str, Numbers]
    templates: Mapping[str, ColumnTemplates]
    #: bytes of the file that they were read from
    size: int = field(default=0, compare=False)

    @property
    def count(self) -> int:
        return len(self.versions)


def template_path(directory: Path, number: int) -> Path:
    """Return the path of the file of a segment."""
    return directory / f"{_PREFIX}{number:06d}"


def list_template_files(directory: Path) -> dict[int, Path]:
    """Return the files by segment number. Raises OSError."""
    paths = directory.glob(f"{_PREFIX}*")
    return {int(number): path for path in paths if (number := path.name.removeprefix(_PREFIX)).isdecimal()}


def write_templates(path: Path, content: SegmentTemplates) -> None:
    """Replace the file. Raises OSError."""
    header = _Header(TEMPLATE_FORMAT, content.generation, content.columns_id, content.count, 0, {})
    versions = _shrink(content.versions)
    header.version_width = versions.itemsize
    parts: list[bytes] = [versions.tobytes()]
    for name, templates in content.templates.items():
        numbers = _shrink(content.numbers[name])
        fragments = templates.fragments
        header.columns[name] = _ColumnHeader(
            numbers.itemsize,
            list(map(len, templates.templates)),
            None if fragments is None else len(fragments),
            None if templates.vocabulary is None else b"\n".join(sorted(templates.vocabulary)).decode("ascii"),
            templates.is_stopped,
        )
        parts += [numbers.tobytes(), *templates.templates, fragments or b""]
    encoded = msgspec.json.encode(header)
    body = b"".join((encoded, *parts))
    new = path.with_name(path.name + ".new")
    with open_file(new, "wb") as file:
        file.write(_HEAD.pack(_MAGIC, len(encoded), zlib.crc32(body)))
        file.write(body)
    new.replace(path)


def _shrink(numbers: Numbers) -> Any:
    return numbers.astype(np.uint8) if int(numbers.max(initial=0)) < 256 else numbers


def read_templates(path: Path, *, verify: bool = True) -> SegmentTemplates:
    """Read the file. Without `verify` its checksum is not compared. Raises TemplateFileInvalid."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TemplateFileInvalid(str(error)) from error
    if len(content) < _HEAD.size:
        raise TemplateFileInvalid("wrong file size")
    magic, length, checksum = _HEAD.unpack_from(content)
    if magic != _MAGIC or (verify and zlib.crc32(memoryview(content)[_HEAD.size :]) != checksum):
        raise TemplateFileInvalid("wrong checksum")
    try:
        header = msgspec.json.decode(content[_HEAD.size : _HEAD.size + length], type=_Header)
        if header.format != TEMPLATE_FORMAT:
            raise TemplateFileInvalid("another format")
        return _decode(header, content, _HEAD.size + length)
    except (msgspec.DecodeError, ValueError) as error:
        raise TemplateFileInvalid(str(error)) from error


def _decode(header: _Header, content: bytes, start: int) -> SegmentTemplates:
    def read_numbers(width: int) -> Any:
        nonlocal start
        numbers = np.frombuffer(content, np.dtype(f"<u{width}"), header.count, start)
        start += numbers.nbytes
        return numbers

    def read_bytes(length: int) -> bytes:
        nonlocal start
        start += length
        return content[start - length : start]

    versions = read_numbers(header.version_width)
    numbers: dict[str, Numbers] = {}
    templates: dict[str, ColumnTemplates] = {}
    for name, column in header.columns.items():
        numbers[name] = read_numbers(column.width)
        texts = [read_bytes(length) for length in column.template_lengths]
        fragments = None if column.fragment_length is None else read_bytes(column.fragment_length)
        vocabulary = None if column.vocabulary is None else column.vocabulary.encode().split(b"\n")
        templates[name] = ColumnTemplates(texts, fragments, vocabulary=vocabulary, is_stopped=column.is_stopped)
        if header.count and int(numbers[name].max()) >= FIRST_TEMPLATE + len(texts):
            raise TemplateFileInvalid("a number has no template")
    return SegmentTemplates(header.generation, header.columns_id, versions, numbers, templates, len(content))
