"""Decompression with a limit of the size: a message of a few bytes may expand to gigabytes.

Content types and results are those of kombu. A compression that the application registered itself is called as it is:
it returns its output at once, so that only the output can be checked.
"""

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from kombu import compression

from flower.units import MEBIBYTE

#: Maximum bytes of the decompressed body of a message or result.
MAX_BODY_SIZE: Final = 64 * MEBIBYTE
#: Bytes of output between two checks of the limit.
_STEP: Final = 1 * MEBIBYTE
#: Memory of the decoder of LZMA: its strongest preset needs 65 MiB; the header of a message may request 4 GiB.
_LZMA_MEMORY_LIMIT: Final = 96 * MEBIBYTE
#: Streams in one body. Kombu writes one, programs that compress in parallel write one for each block. Each stream takes
#: time in proportion to the rest of the body, and an empty one has 14 bytes.
_MAX_STREAMS: Final = 100
#: Input of one step where the output of a step cannot be limited. 16 bytes expand to at most some 50 MB of Brotli: one
#: block is at most 16 MiB, and each needs several bytes.
_BROTLI_STEP: Final = 16


class BodyTooLarge(Exception):
    """The decompressed body exceeds the limit, or consists of too many streams."""


def decompress(body: bytes, content_type: str, max_size: int = MAX_BODY_SIZE) -> bytes:
    """The decompressed body. Raises BodyTooLarge, and on other errors whatever the decompressor raises; KeyError if the
    compression is unknown."""
    registered = compression.get_decoder(content_type)  # type: ignore[no-untyped-call]
    limited = _LIMITED_DECODERS.get(_ALIASES.get(content_type, content_type))
    if limited is None or not _is_kombus_own(registered):
        output = bytes(registered(body))
        if len(output) > max_size:
            raise BodyTooLarge
        return output
    parts, size = [], 0
    for part in limited(body):
        size += len(part)
        if size > max_size:
            raise BodyTooLarge
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def limit_kombu_decompression() -> None:
    """Make kombu decompress with the limit in this process: messages and results that Celery's own code reads. Only for
    processes of Bellflower: inside another program the limit would apply to that program too."""
    for content_type in _LIMITED_DECODERS:
        try:
            decoder = compression.get_decoder(content_type)  # type: ignore[no-untyped-call]
        except KeyError:
            continue
        if _is_kombus_own(decoder) and not isinstance(decoder, _LimitedDecoder):
            compression._decoders[content_type] = _LimitedDecoder(content_type)


class _LimitedDecoder:
    """A decoder for kombu's registry."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type

    def __call__(self, body: bytes) -> bytes:
        return decompress(bytes(body), self._content_type)


def _is_kombus_own(decoder: Any) -> bool:
    """Whether the decoder is that of a library, and not one that the application registered under the same name."""
    module = getattr(decoder, "__module__", None) or type(getattr(decoder, "__self__", decoder)).__module__
    return str(module).split(".", maxsplit=1)[0] in _LIBRARIES


def _inflate(body: bytes) -> Iterator[bytes]:
    """zlib: one stream; data after its end is ignored, as in `zlib.decompress`."""
    decompressor = zlib.decompressobj()
    while True:
        part = decompressor.decompress(body, _STEP)
        body = decompressor.unconsumed_tail
        yield part
        if decompressor.eof:
            return
        if not part and not body:
            raise zlib.error("incomplete or truncated stream")


def _decompress_streams(body: bytes, create: Callable[[], Any], *, skips_garbage: bool) -> Iterator[bytes]:
    """Concatenated streams, with the decompressors of bz2, lzma and zstd. `skips_garbage`: data after the first stream
    that is not a stream is ignored, as in `bz2.decompress` and `lzma.decompress`."""
    for number in range(_MAX_STREAMS):
        decompressor = create()
        try:
            yield decompressor.decompress(body, _STEP)
            while not decompressor.eof:
                if decompressor.needs_input:
                    raise EOFError("the compressed data ends too early")
                yield decompressor.decompress(b"", _STEP)
        except (OSError, lzma.LZMAError) as error:
            if "Memory usage limit" in str(error):
                raise BodyTooLarge from error
            if number == 0 or not skips_garbage:
                raise
            return
        body = decompressor.unused_data
        if not body:
            return
    raise BodyTooLarge


def _decompress_bz2(body: bytes) -> Iterator[bytes]:
    return _decompress_streams(body, bz2.BZ2Decompressor, skips_garbage=True) if body else iter(())


def _decompress_lzma(body: bytes) -> Iterator[bytes]:
    return _decompress_streams(body, lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_LIMIT), skips_garbage=True)


def _decompress_brotli(body: bytes) -> Iterator[bytes]:
    brotli = _import_first("brotli", "brotlicffi")
    decompressor = brotli.Decompressor()
    if hasattr(decompressor, "can_accept_more_data"):
        part = decompressor.process(body, output_buffer_limit=_STEP)
        while part:
            yield part
            part = decompressor.process(b"", output_buffer_limit=_STEP)
    else:  # before 1.2
        for start in range(0, len(body), _BROTLI_STEP):
            yield decompressor.process(body[start : start + _BROTLI_STEP])
    if not decompressor.is_finished():
        raise EOFError("the compressed data ends too early")


def _decompress_zstd(body: bytes) -> Iterator[bytes]:
    zstd = _import_first("compression.zstd", "backports.zstd", "zstandard")
    if zstd.__name__ != "zstandard":
        yield from _decompress_streams(body, zstd.ZstdDecompressor, skips_garbage=False)
        return
    # The library of kombu before 5.7. Its own `decompress` reads one frame of a known size.
    with zstd.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        while part := reader.read(_STEP):
            yield part


def _import_first(*names: str) -> Any:
    """The first of these modules that is installed."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return importlib.import_module(names[-1])


_LIMITED_DECODERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "application/x-gzip": _inflate,
    "application/x-bz2": _decompress_bz2,
    "application/x-lzma": _decompress_lzma,
    "application/x-brotli": _decompress_brotli,
    "application/zstd": _decompress_zstd,
}
#: Kombu's other names of these content types.
_ALIASES: Final = {
    "gzip": "application/x-gzip", "zlib": "application/x-gzip", "bzip2": "application/x-bz2",
    "bzip": "application/x-bz2", "lzma": "application/x-lzma", "xz": "application/x-lzma",
    "brotli": "application/x-brotli", "zstd": "application/zstd", "zstandard": "application/zstd",
}  # fmt: skip
#: Packages of the decoders that kombu registers itself, and this module.
_LIBRARIES: Final = frozenset(
    {"zlib", "bz2", "lzma", "brotli", "_brotli", "brotlicffi", "backports", "compression", "zstandard", "kombu"}
    | {__name__.split(".", maxsplit=1)[0]}
)
