"""`python -m bench.redaction_cost`: time that redaction needs for an event without a secret, and with one.

Uses the event stream of the other benchmarks, whose events contain nothing to mask, as all other events of an
installation should. The prefilter is measured on decoded events, and complete decoding with and without rules, both in
groups as the parsers of brokers form them.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.event_stream import Workload
from flower.capture.decoder import MAX_OBJECTS, Decoder
from flower.records import Event
from flower.redaction import Redactor, Rules

T = TypeVar("T", list[bytes], list[Event])

EVENTS = 20_000
ROUNDS = 7

#: fields of an event with a secret, by the kind of the rule
SECRETS = {
    "keyword argument": {"kwargs": "{'user': 'ann', 'password': 'hunter2', 'n': 1}"},
    "URL password": {"exception": "OperationalError('no route to postgres://ann:hunter2@db/shop')"},
    "harmless number": {"kwargs": "{'prompt': 'translate', 'max_new_tokens': 256, 'temperature': 0.2}"},
}


def main() -> None:
    bodies = [json.dumps(each.event).encode() for each in Workload(EVENTS // 4, notes=True).events()]
    groups = [bodies[start : start + MAX_OBJECTS] for start in range(0, len(bodies), MAX_OBJECTS)]
    redactor, plain, masking = Redactor(), Decoder(rules=Rules((), (), ())), Decoder()
    events = [_decode_with(plain)(group) for group in groups]
    print(f"{len(bodies):,} events, {statistics.mean(map(len, bodies)):.0f} bytes on average")
    print(f"prefilter            {_measure(redactor.mask_events, events):6.2f} µs per event")
    print(f"decode without rules {_measure(_decode_with(plain), groups):6.2f} µs per event")
    print(f"decode and redact    {_measure(_decode_with(masking), groups):6.2f} µs per event")
    for name, fields in SECRETS.items():
        event = {"type": "task-received", "uuid": "a", "timestamp": 1.0, "hostname": "w", **fields}
        body = json.dumps(event).encode()
        print(f"{name:20} {_measure(_decode_with(masking), [[body]] * 2_000):6.2f} µs per event")


def _decode_with(decoder: Decoder) -> Callable[[list[bytes]], list[Event]]:
    def decode(bodies: list[bytes]) -> list[Event]:
        out: list[Event] = []
        decoder.decode_objects(bodies, 1.0, out)
        return out

    return decode


def _measure(function: Callable[[T], object], groups: Sequence[T]) -> float:
    """Microseconds per event: the minimum of several rounds, which other work on the machine disturbs least."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for group in groups:
            function(group)
        times.append(time.process_time() - started)
    return min(times) / sum(map(len, groups)) * 1e6


if __name__ == "__main__":
    main()
