"""Cuts a stream of Redis replies where a message ends, so that a new recorder can begin there.

Only the last message of the received bytes is parsed: its beginning is found by searching backwards. This is possible
because kombu's messages are JSON in one line: a payload contains no line break.
"""

#: What follows the type of the reply at the beginning of a published message, and what precedes it after the end of
#: another reply: the types of both versions of the protocol. A search for a text that does not occur, such as the
#: beginning in the other version, would read the whole buffer.
_MESSAGE_START = b"4\r\n$8\r\npmessage\r\n"
_BEFORE_START = (b"\r\n*", b"\r\n>")
_LINE_END = b"\r\n"
_SIMPLE_TYPES = frozenset(b"+-:_,#(")
_TEXT_TYPES = frozenset(b"$=!")
_LIST_TYPES = frozenset(b"*>~")


class _Incomplete(Exception):
    """The reply does not end within the bytes, but not before this size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


class MessageCutter:
    """Collects the bytes of one connection and returns complete messages."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = self._needed = 0

    @property
    def is_empty(self) -> bool:
        """Whether everything was returned."""
        return not self._parts

    def feed(self, data: bytes) -> bytes:
        """All bytes up to the end of the last complete message that were not returned yet; empty if none is
        complete."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return b""
        buffer = b"".join(self._parts)
        end, self._needed = _find_end(buffer)
        rest = buffer[end:]
        self._parts, self._size = ([rest], len(rest)) if rest else ([], 0)
        self._needed = max(0, self._needed - end)
        return buffer[:end]


def _find_end(buffer: bytes) -> tuple[int, int]:
    """Where the last complete reply ends, and how many bytes are needed for the next one to be complete."""
    position = max(_find_last_message(buffer), 0)
    while position < len(buffer):
        try:
            position = _skip_reply(buffer, position)
        except _Incomplete as incomplete:
            return position, incomplete.size
        except ValueError:  # not a reply of Redis; the recorder's parser reports it
            return len(buffer), 0
    return position, 0


def _find_last_message(buffer: bytes) -> int:
    """Where the last published message begins that follows another reply; -1 without one."""
    end = len(buffer)
    while (found := buffer.rfind(_MESSAGE_START, 0, end)) >= 0:
        if buffer[max(0, found - 3) : found] in _BEFORE_START:
            return found - 1
        end = found + len(_MESSAGE_START) - 1
    return -1


def _skip_reply(buffer: bytes, position: int) -> int:
    """The position after the reply. Raises _Incomplete, or ValueError if there is no reply."""
    kind = buffer[position]
    line_end = buffer.find(_LINE_END, position)
    if line_end < 0:
        raise _Incomplete(len(buffer) + 1)
    position, line = line_end + 2, buffer[position + 1 : line_end]
    if kind in _SIMPLE_TYPES:
        return position
    if kind in _TEXT_TYPES:
        size = int(line)
        if size < 0:
            return position
        if position + size + 2 > len(buffer):
            raise _Incomplete(position + size + 2)
        return position + size + 2
    if kind in _LIST_TYPES or kind == ord("%"):
        for _ in range(int(line) * (2 if kind == ord("%") else 1)):
            if position >= len(buffer):
                raise _Incomplete(position + 1)
            position = _skip_reply(buffer, position)
        return position
    raise ValueError
