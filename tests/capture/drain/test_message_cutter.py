"""Cutting a stream of Redis replies where a message ends."""

import random

import pytest

from flower.capture.drain.message_cutter import MessageCutter


def message(number: int, size: int, kind: bytes = b">") -> bytes:
    payload = b'{"body": "%d%s"}' % (number, b"x" * size)
    parts = [b"pmessage", b"/0.celeryev/*", b"/0.celeryev/task.started", payload]
    return kind + b"4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


@pytest.mark.parametrize("kind", [b">", b"*"])
def test_every_piece_ends_with_a_message(kind: bytes) -> None:
    rng = random.Random(7)
    messages = [message(number, rng.choice([0, 10, 700]), kind) for number in range(300)]
    pongs = {b">": b"+PONG\r\n", b"*": b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"}
    messages[100:100] = [pongs[kind]]
    ends = {0}
    for each in messages:
        ends.add(max(ends) + len(each))
    stream, cutter, position, total = b"".join(messages), MessageCutter(), 0, 0
    while position < len(stream):
        size = rng.choice([1, 2, 30, 500, 5_000])
        piece = cutter.feed(stream[position : position + size])
        position += size
        total += len(piece)
        assert total in ends
        # what is complete is returned at once
        assert total == max(end for end in ends if end <= position)
    assert total == len(stream)
    assert cutter.is_empty


def test_message_in_many_pieces_is_joined_once() -> None:
    cutter, large = MessageCutter(), message(1, 3_000_000)
    pieces = [cutter.feed(large[start : start + 1_000]) for start in range(0, len(large), 1_000)]
    assert b"".join(pieces) == large
    assert sum(map(bool, pieces)) == 1


def test_bytes_that_are_not_redis_replies_are_passed_on() -> None:
    assert MessageCutter().feed(b"HTTP/1.1 400 Bad Request\r\n") == b"HTTP/1.1 400 Bad Request\r\n"
