"""Decompression with a limit of the size, for each compression that kombu supports."""

import bz2
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from celery.backends.base import compress_payload
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import compression

from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.decompression import BodyTooLarge, decompress, limit_kombu_decompression
from flower.records import Event

COMPRESSIONS = ["gzip", "bzip2", "lzma", "brotli", "zstd"]
MEBIBYTE = 2**20


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of kombu's registry end with the test."""
    for name in ("_encoders", "_decoders", "_aliases"):
        monkeypatch.setattr(compression, name, dict(getattr(compression, name)))


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 10_000], ids=["empty", "small", "2.5 MB"])
def test_body_is_decompressed_as_by_kombu(name: str, body: bytes) -> None:
    compressed, content_type = compression.compress(body, name)
    assert decompress(compressed, content_type) == decompress(compressed, name) == body


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_body_of_the_maximum_size_is_accepted_and_a_larger_one_is_not(name: str) -> None:
    body = b" " * (2 * MEBIBYTE)
    compressed, content_type = compression.compress(body, name)
    assert decompress(compressed, content_type, len(body)) == body
    with pytest.raises(BodyTooLarge):
        decompress(compressed, content_type, len(body) - 1)


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_incomplete_body_is_an_error(name: str) -> None:
    compressed, content_type = compression.compress(bytes(range(256)) * 100, name)
    with pytest.raises(Exception, match=r"."):
        decompress(compressed[: len(compressed) // 2], content_type)


@pytest.mark.parametrize(("name", "compress"), [("bzip2", bz2.compress), ("lzma", lzma.compress)])
def test_limit_applies_to_all_concatenated_streams_together(name: str, compress: Callable[[bytes], bytes]) -> None:
    body = compress(b" " * MEBIBYTE) * 3
    assert len(decompress(body, name, 3 * MEBIBYTE)) == 3 * MEBIBYTE
    with pytest.raises(BodyTooLarge):
        decompress(body, name, 3 * MEBIBYTE - 1)


@pytest.mark.parametrize(("name", "compress"), [("bzip2", bz2.compress), ("lzma", lzma.compress)])
def test_number_of_concatenated_streams_is_limited(name: str, compress: Callable[[bytes], bytes]) -> None:
    """Each stream takes time in proportion to the rest of the body."""
    assert decompress(compress(b"a") * 100, name) == b"a" * 100
    with pytest.raises(BodyTooLarge):
        decompress(compress(b"") * 101, name)


def test_memory_that_a_header_of_lzma_requests_is_limited() -> None:
    body = lzma.compress(b"[]", format=lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0}])
    large = body[:1] + (1 << 30).to_bytes(4, "little") + body[5:]
    with pytest.raises(BodyTooLarge):
        decompress(large, "lzma")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(COMPRESSIONS))
def test_any_bytes_give_the_body_or_the_error_of_kombu(body: bytes, name: str) -> None:
    try:
        expected = compression.get_decoder(name)(body)
    except Exception:  # noqa: BLE001
        expected = None
    try:
        found = decompress(body, name)
    except Exception:  # noqa: BLE001
        found = None
    assert found == expected


def test_decoder_of_the_application_is_used(registry: None) -> None:
    compression.register(lambda body: body, lambda body: b"[]", "application/x-gzip", ["gzip"])
    assert decompress(b"anything", "application/x-gzip") == b"[]"
    limit_kombu_decompression()
    assert compression.decompress(b"anything", "gzip") == b"[]"


def test_messages_and_results_that_celery_reads_are_limited_too(registry: None) -> None:
    limit_kombu_decompression()
    limit_kombu_decompression()
    from celery.backends.base import decompress_payload

    assert decompress_payload(compress_payload(b'{"status": "SUCCESS"}', "gzip")) == b'{"status": "SUCCESS"}'
    with pytest.raises(BodyTooLarge):
        decompress_payload(compress_payload(b" " * (65 * MEBIBYTE), "gzip"))


def test_decoder_counts_a_body_that_is_too_large_as_unreadable() -> None:
    compressed, content_type = compression.compress(b" " * (65 * MEBIBYTE), "gzip")
    decoder, events = Decoder(), list[Event]()
    decoder.decode_message(compressed, ContentHeaders("application/json", "utf-8", content_type), 1.0, events)
    assert not events
    report = decoder.unreadable.report()
    assert (report.reasons, report.encodings) == ({"too large": 1}, {content_type: 1})


def test_memory_stays_flat_if_bodies_of_300_megabytes_arrive() -> None:
    code = """
import resource, zlib
from flower.capture.decoder import ContentHeaders, Decoder
compressor, blanks = zlib.compressobj(1), b" " * 2**20
body = b"".join(compressor.compress(blanks) for _ in range(300)) + compressor.flush()
decoder = Decoder()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(2):
    decoder.decode_message(body, ContentHeaders("application/json", "utf-8", "application/x-gzip"), 1.0, [])
assert decoder.malformed == {"too large": 2}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    grown = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    assert grown < 100, f"memory grew by {grown} MB"


def test_body_with_millions_of_objects_is_not_decoded() -> None:
    for body in (b"[" + b"{}," * 600_000 + b"{}]", b"[" + b"[]," * 600_000 + b"[]]"):
        decoder = Decoder()
        decoder.decode_json(body, 1.0, [])
        assert decoder.malformed == {"too large": 1}


def test_compressions_of_kombu_are_all_limited() -> None:
    """A compression that a later version of kombu adds needs an entry in `decompression`."""
    from flower.capture.decompression import _ALIASES, _LIMITED_DECODERS

    assert set(compression._decoders) == set(_LIMITED_DECODERS)
    assert compression._aliases == _ALIASES
    assert all(find_spec(name) for name in ("brotli", "backports.zstd"))
    assert zlib.decompress(compression.compress(b"x", "gzip")[0]) == b"x"
