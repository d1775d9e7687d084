"""What the rooms above lend to a stream: the records, and how they are shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flower.records import Task
from flower.search.tree import Node
from flower.store.port import Reader

if TYPE_CHECKING:
    from flower.live.interest import Interest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Said:
    """How store and recorder are, as JSON. When `state` differs from before, people want to know at once."""

    state: tuple[Any, ...]
    text: bytes


class Source(Protocol):
    """All but `read` is called in a thread, by one at a time."""

    @property
    def records(self) -> Reader:
        """As they were captured: by these it is found out what matches."""
        ...

    async def read(self, look: Callable[[], T]) -> T:
        """Do this in a thread."""
        ...

    def where(self, interest: "Interest", now: float) -> Node:
        """Raises SearchError and Invalid."""
        ...

    def rows(self, tasks: Sequence[Task], interest: "Interest") -> Sequence[bytes]:
        """Each task as JSON on one line, as every other answer shows it, in the shape that is asked for."""
        ...

    def workers(self, now: float) -> Mapping[str, bytes]:
        """Each worker as JSON, by name."""
        ...

    def status(self) -> Said: ...

    def encode(self, value: Any) -> bytes:
        """JSON on one line."""
        ...
