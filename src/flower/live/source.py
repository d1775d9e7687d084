"""What the rooms above lend to a stream: the records, and how they are shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flower.records import Task
from flower.search.tree import Node
from flower.store.port import Reader

if TYPE_CHECKING:
    from flower.live.interest import StreamFilter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StatusText:
    """How store and recorder are, as JSON. When `state` differs from before, people want to know at once."""

    urgent_state: tuple[Any, ...]
    json_text: bytes


class StreamBackend(Protocol):
    """All but `read` is called in a thread, by one at a time."""

    @property
    def recorded_reader(self) -> Reader:
        """As they were captured: by these it is found out what matches."""
        ...

    async def run_in_thread(self, look: Callable[[], T]) -> T:
        """Do this in a thread."""
        ...

    def build_filter(self, interest: "StreamFilter", now: float) -> Node:
        """Raises SearchError and Invalid."""
        ...

    def encode_rows(self, tasks: Sequence[Task], interest: "StreamFilter") -> Sequence[bytes]:
        """Each task as JSON on one line, as every other answer shows it, in the shape that is asked for."""
        ...

    def encode_workers(self, now: float) -> Mapping[str, bytes]:
        """Each worker as JSON, by name."""
        ...

    def encode_status(self) -> StatusText: ...

    def encode_json(self, value: Any) -> bytes:
        """JSON on one line."""
        ...
