"""An answer that is no JSON and too large for one piece."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamingBody:
    """`pieces` is read in threads, once. An error before the first piece is an error answer; after it the connection
    breaks off, so that half a file is not taken for a whole one."""

    media_type: str
    chunks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
