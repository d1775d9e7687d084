"""The fuzz targets with their corpus and with random variations of it. `make fuzz` runs them for longer."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS
from tests.helpers.paths import ROOT

CORPUS = ROOT / "fuzz" / "corpus"
#: Seconds for one input on a busy machine.
MAX_SECONDS = 5.0
#: Inserted into inputs of the corpus.
PIECES = [b"\0", b'"', b"[", b"}", b"-", b"9", b":", b"\\ud800", b"1e999"]


def inputs_of(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


def run(target: str, data: bytes) -> None:
    started = time.monotonic()
    TARGETS[target](data)
    assert time.monotonic() - started < MAX_SECONDS


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_of_the_corpus(target: str) -> None:
    assert inputs_of(target)
    for path in inputs_of(target):
        run(target, path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300))
def test_random_inputs(target: str, data: bytes) -> None:
    run(target, data)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=st.randoms(use_true_random=False))
def test_variations_of_the_corpus(target: str, source: random.Random) -> None:
    data = bytearray(source.choice(inputs_of(target)).read_bytes())
    for _ in range(source.randint(1, 8)):
        position = source.randint(0, len(data))
        match source.randrange(3):
            case 0:
                data[position:position] = source.choice(PIECES)
            case 1:
                del data[position : position + source.randint(1, 9)]
            case _:
                other = source.choice(inputs_of(target)).read_bytes()
                data[position:position] = other[: source.randint(1, 60)]
    run(target, bytes(data))
