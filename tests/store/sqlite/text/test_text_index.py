"""The text index finds every row: for any text, after damage, during writes, merges and crashes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import tantivy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flower.store.sqlite.text import (
    TextIndexError,
    TextReader,
    TextWriter,
    split_trigrams,
)
from flower.store.sqlite.text.generation import (
    MAX_BLOCK_NUMBER,
    IndexGeneration,
    block_path,
    create_generation,
    list_block_numbers,
    write_generation,
)
from flower.store.sqlite.text.trigrams import combine_trigrams, normalize_text
from tests.helpers.text_index import BLOCK, search, text_of


@contextmanager
def writing(folder: Path, max_documents: int = BLOCK) -> Iterator[TextWriter]:
    writer = TextWriter(folder, max_block_documents=max_documents)
    try:
        yield writer
    finally:
        writer.close()


def fill(folder: Path, keys: Sequence[int], commit_every: int = 25) -> dict[int, int]:
    """Index the keys; return the block number of each."""
    blocks: dict[int, int] = {}
    with writing(folder) as writer:
        for start in range(0, len(keys), commit_every):
            part = keys[start : start + commit_every]
            for key in part:
                writer.add(key, text_of(key))
            blocks.update(dict.fromkeys(part, writer.commit()))
    return blocks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "text"


# --- candidates

UNUSUAL = "aAbBsSßẞiIİıﬁſKkΣςσ0 \n\t\0\ud800\udfff?'\"\\{}😀é́ǰ\u0345"
words = st.text(alphabet=UNUSUAL, min_size=0, max_size=12) | st.text(max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(words, min_size=1, max_size=8), other=words, data=st.data())
@example(texts=["STRASSE", "straße", "ﬁn", "İx", "a\0b", "x\ud800y"], other="ßss", data=None)
def test_every_match_is_a_candidate(texts: list[str], other: str, data: st.DataObject | None) -> None:
    needles = [other.casefold()]
    for text in map(str.casefold, texts):
        if data is not None and len(text) >= 3:
            start = data.draw(st.integers(0, len(text) - 3))
            needles.append(text[start : start + data.draw(st.integers(3, 12))])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, writing(Path(directory)) as writer:
        for key, text in enumerate(texts, 1):
            writer.add(key, text)
        writer.commit()
        snapshot = TextReader(Path(directory)).refresh()
        for needle in needles:
            if len(needle) < 3:
                continue
            matches = {key for key, text in enumerate(texts, 1) if needle in text.casefold()}
            assert matches <= set(search(snapshot, needle)), needle


def test_normalization_is_idempotent() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        assert normalize_text(normalize_text(character)) == normalize_text(character)
        assert normalize_text(character).encode()


def test_long_texts_and_search_strings(folder: Path) -> None:
    chance = random.Random(1)
    text = "".join(chance.choice("abcdefghij ") for _ in range(200_000))
    with writing(folder) as writer:
        writer.add(1, text)
        writer.add(2, text[:1000] + "x" + text[1000:2000])
        writer.add(3, "y" * 3_000_000)
        writer.commit()
    snapshot = TextReader(folder).refresh()
    assert search(snapshot, text[150_000:150_030]) == [1]
    assert 1 in search(snapshot, text)
    assert search(snapshot, "y" * 100_000) == [3]
    assert search(snapshot, text[5:25], text[100_000:100_030]) == [1]


def test_split_and_combine_trigrams() -> None:
    assert split_trigrams("abcabc") == ("abc", "bca", "cab")
    assert split_trigrams("Straße") == ("str", "tra", "ras", "ass", "sse")
    assert split_trigrams("ab") == ()
    long = split_trigrams("".join(map(chr, range(0x4E00, 0x5E00))))
    assert len(long) == 24
    assert long[0][0] == chr(0x4E00)
    assert long[-1][-1] == chr(0x5DFF)
    assert len(combine_trigrams([f"{number:030}x{number * 7919:030}" for number in range(50)])) <= 64
    for invalid in ([], ["abc", "ab"]):
        with pytest.raises(ValueError, match=r"too short|no search strings"):
            combine_trigrams(invalid)


def test_candidates_contain_all_search_strings(folder: Path) -> None:
    fill(folder, range(1, 251))
    snapshot = TextReader(folder).refresh()
    assert search(snapshot, "customer3@") == list(range(3, 251, 7))
    assert search(snapshot, "customer3@", "ord-000199") == [199]
    assert search(snapshot, "customer4@", "ord-000199") == []
    assert search(snapshot, "customer3@", "nowhere") == []


# --- limits and totals


def test_candidates_in_pages(folder: Path) -> None:
    keys = list(range(1, 351))
    fill(folder, keys)
    snapshot = TextReader(folder).refresh()
    assert len(snapshot.blocks) == 4
    for limit in (1, 7, 50, 100, 120, 350, 1000):
        seen: list[int] = []
        below: int | None = None
        while True:
            page = snapshot.find_candidates(["order"], limit=limit, below=below)
            assert page.total == 350 - len(seen)
            assert len(page.keys) <= limit
            assert page.keys.tolist() == sorted(page.keys.tolist())
            seen = page.keys.tolist() + seen
            if page.lowest == 0:
                break
            assert page.keys[0] >= page.lowest
            below = page.lowest
        assert seen == keys


def test_bounds_and_totals(folder: Path) -> None:
    fill(folder, range(1, 351))
    snapshot = TextReader(folder).refresh()
    page = snapshot.find_candidates(["order"], limit=20, below=300, at_least=290)
    assert (page.keys.tolist(), page.total, page.lowest) == (list(range(290, 300)), 10, 290)
    page = snapshot.find_candidates(["order"], limit=5, below=10**30, total=False)
    assert (page.keys.tolist(), page.lowest) == ([346, 347, 348, 349, 350], 346)
    assert page.total in (None, 350)
    assert snapshot.find_candidates(["customer3@"], limit=1000, total=False).total == 50
    assert snapshot.find_candidates(["order"], limit=10, below=1).keys.tolist() == []
    with pytest.raises(ValueError, match="limit"):
        snapshot.find_candidates(["order"], limit=0)


@settings(max_examples=25, deadline=None)
@given(
    added=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=120),
    limit=st.integers(1, 30),
    below=st.none() | st.integers(1, 70),
    at_least=st.integers(0, 40),
    total=st.booleans(),
)
def test_overlapping_blocks_and_repeated_keys(
    added: list[tuple[int, bool]], limit: int, below: int | None, at_least: int, total: bool
) -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        writing(Path(directory), max_documents=20) as writer,
    ):
        for number, (key, matches) in enumerate(added):
            writer.add(key, "needle" if matches else "other")
            if number % 7 == 6:
                writer.commit()
        writer.commit()
        documents = [key for key, matches in added if matches and at_least <= key < (below or 1000)]
        page = (
            TextReader(Path(directory))
            .refresh()
            .find_candidates(["needle"], limit=limit, below=below, at_least=at_least, total=total)
        )
        if total:
            assert page.total == len(documents)
        assert TextReader(Path(directory)).refresh().max_candidates(["needle"]) == sum(matches for _, matches in added)
        assert page.keys.tolist() == sorted(key for key in set(documents) if key >= page.lowest)
        assert len(page.keys) <= limit
        if not len(page.keys):
            assert not documents


# --- blocks and their numbers


def test_a_full_block_is_followed_by_the_next_after_a_commit(folder: Path) -> None:
    blocks = fill(folder, range(1, 261), commit_every=60)
    first = blocks[1]
    assert [blocks[key] - first for key in (1, 61, 120, 121, 240, 241)] == [0, 0, 0, 1, 1, 2]
    assert TextReader(folder).refresh().blocks == set(blocks.values())
    again = fill(folder, [261])
    assert again[261] == blocks[260]  # continues the block that is not full


def test_commit_without_documents(folder: Path) -> None:
    with writing(folder) as writer:
        assert writer.commit() == 0
        assert writer.blocks == frozenset()
        writer.add(1, "one")
        assert writer.commit() == writer.commit()
        assert writer.blocks == {writer.commit()}


def test_delete_blocks_of_old_keys(folder: Path) -> None:
    blocks = fill(folder, range(1, 351))
    reader = TextReader(folder)
    before = reader.refresh()
    with writing(folder) as writer:
        writer.delete_before(150)
        assert writer.blocks == {blocks[150], blocks[250], blocks[350]}
        assert search(reader.refresh(), "order") == list(range(101, 351))
        assert len(search(before, "order")) == 350  # a snapshot does not change
        writer.add(351, text_of(351))
        writer.commit()
        writer.delete_before(10_000)
        assert writer.blocks == frozenset()
        writer.add(352, text_of(352))
        assert writer.commit() > blocks[350]
    assert search(reader.refresh(), "order") == [352]
    assert len(list(folder.iterdir())) == 2


def test_numbers_of_removed_blocks_are_not_reused(folder: Path) -> None:
    numbers: list[int] = []
    generation = ""
    for _ in range(4):
        with writing(folder) as writer:
            assert generation in ("", writer.generation)
            generation = writer.generation
            writer.add(1, "one")
            numbers.append(writer.commit())
        shutil.rmtree(folder / f"{numbers[-1]:06d}")
    assert len(set(numbers)) == 4


def test_exhausted_block_numbers_start_a_new_generation(folder: Path) -> None:
    first = create_generation(folder)
    write_generation(folder, IndexGeneration(first.name, MAX_BLOCK_NUMBER - 1))
    with writing(folder) as writer:
        for key in range(BLOCK):
            writer.add(key, text_of(key))
        assert writer.commit() == MAX_BLOCK_NUMBER
        with pytest.raises(TextIndexError, match="no more block numbers"):
            writer.add(BLOCK, text_of(BLOCK))
    with writing(folder) as writer:
        assert writer.generation != first.name
        assert writer.blocks == frozenset()


def copy_index(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def change_rules(folder: Path) -> None:
    """As if a Python with another Unicode version had normalized the texts."""
    content = json.loads((folder / "mark.json").read_bytes())
    content["rules"] = "1/9.0.0"
    with (folder / "mark.json").open("r+") as file:
        file.write(json.dumps(content))
        file.truncate()


@pytest.mark.parametrize(
    "invalidate",
    [
        shutil.rmtree,
        copy_index,
        change_rules,
        lambda folder: (folder / "mark.json").unlink(),
        lambda folder: (folder / "mark.json").write_bytes(b"\0" * 50),
    ],
)
def test_an_invalid_index_is_rebuilt(folder: Path, invalidate: Callable[[Path], object]) -> None:
    fill(folder, range(1, 251))
    reader = TextReader(folder)
    before = reader.refresh()
    invalidate(folder)
    after = reader.refresh()
    assert (after.generation, after.blocks) == ("", frozenset())
    with writing(folder) as writer:
        assert writer.generation != before.generation
        assert writer.blocks == frozenset()
        writer.add(7, text_of(7))
        writer.commit()
        after = reader.refresh()
        assert after.generation == writer.generation
        assert search(after, "order") == [7]


def test_a_moved_index_is_valid(folder: Path) -> None:
    blocks = fill(folder, range(1, 151))
    moved = folder.rename(folder.with_name("moved"))
    with writing(moved) as writer:
        assert writer.blocks == set(blocks.values())


# --- damage


def files_of(folder: Path, block: int, suffix: str) -> list[Path]:
    path = folder / f"{block:06d}"
    segments = json.loads((path / "meta.json").read_bytes())["segments"]
    names = {segment["segment_id"].replace("-", "") for segment in segments}
    return [file for file in path.iterdir() if file.stem in names and file.suffix == suffix]


def overwrite(file: Path) -> None:
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    content[:half] = random.Random(3).randbytes(half)
    file.unlink()
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "missing": Path.unlink,
    "overwritten": overwrite,
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("suffix", [".idx", ".term", ".fast", "meta.json"])
@pytest.mark.parametrize("key", [50, 150, 240])
def test_only_the_damaged_block_is_removed(
    folder: Path, how: str, suffix: str, key: int, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = fill(folder, range(1, 251))
    damaged = blocks[key]
    files = [folder / f"{damaged:06d}" / suffix] if suffix == "meta.json" else files_of(folder, damaged, suffix)
    DAMAGE[how](files[0])
    remaining = [key for key, block in blocks.items() if block != damaged]
    with writing(folder) as writer:
        while writer.verify_next():
            pass
        assert writer.blocks == set(blocks.values()) - {damaged}
        assert search(TextReader(folder).refresh(), "order") == remaining
        writer.add(300, text_of(300))
        writer.commit()
        assert search(TextReader(folder).refresh(), "order") == [*remaining, 300]
    assert caplog.text.count("Removed damaged block") == 1


@pytest.mark.parametrize("suffix", [".idx", ".term", ".fast", "meta.json"])
def test_a_reader_skips_a_damaged_block(folder: Path, suffix: str) -> None:
    blocks = fill(folder, range(1, 251))
    damaged = blocks[150]
    files = [folder / f"{damaged:06d}" / suffix] if suffix == "meta.json" else files_of(folder, damaged, suffix)
    DAMAGE["truncated"](files[0])
    assert TextReader(folder).refresh().blocks == set(blocks.values()) - {damaged}


def test_a_file_at_the_path_of_the_index(folder: Path) -> None:
    folder.write_text("other")
    assert TextReader(folder).refresh().blocks == frozenset()
    with pytest.raises(TextIndexError):
        TextWriter(folder)
    assert folder.read_text() == "other"


def test_the_index_is_deleted_during_a_write(folder: Path) -> None:
    writer = TextWriter(folder)
    writer.add(1, "one")
    writer.commit()
    shutil.rmtree(folder)
    with pytest.raises(TextIndexError):
        _ = writer.blocks
    with pytest.raises(TextIndexError):  # noqa: PT012 - either may raise
        writer.add(2, "two")
        writer.commit()
    writer.close()
    with writing(folder) as again:
        again.add(3, "three")
        again.commit()
        assert search(TextReader(folder).refresh(), "three") == [3]


# --- other processes

WRITER = """
import sys
from pathlib import Path
from flower.store.sqlite.text import TextWriter
folder, max_documents, commit_every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = TextWriter(folder, max_block_documents=max_documents)
key = 0
while True:
    for _ in range(commit_every):
        key += 1
        writer.add(key, f"Order ORD-{key:06d} for customer{key % 7}@example.com")
    print(key, writer.commit(), flush=True)
"""


@contextmanager
def writing_process(folder: Path, max_documents: int, commit_every: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(folder), str(max_documents), str(commit_every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("commits", [1, 7, 23])
def test_a_killed_writer_loses_no_commit(folder: Path, commits: int) -> None:
    committed: dict[int, int] = {}
    with writing_process(folder, 1000, 150) as process:
        assert process.stdout
        for _ in range(commits):
            key, block = map(int, process.stdout.readline().split())
            committed[key] = block
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:  # commits reported before the end; the last line may be cut off
            if line.endswith("\n"):
                key, block = map(int, line.split())
                committed[key] = block
    last = max(committed)
    with writing(folder, 1000) as writer:
        while writer.verify_next():
            pass
        snapshot = TextReader(folder).refresh()
        assert set(committed.values()) <= snapshot.blocks == writer.blocks
        assert search(snapshot, "order")[:last] == list(range(1, last + 1))
        writer.add(900_000, text_of(900_000))
        assert writer.commit() >= max(committed.values())
        assert 900_000 in search(TextReader(folder).refresh(), "order")


def test_readers_during_writes_and_merges_of_another_process(folder: Path) -> None:
    shared = TextReader(folder)
    shared.refresh()
    latest = [0, 0]
    failures: list[str] = []
    done = threading.Event()

    def read(reader: TextReader) -> None:
        while not done.is_set():
            key, block = latest
            snapshot = reader.refresh()
            keys = search(snapshot, "order")
            if key and (block not in snapshot.blocks or keys[:key] != list(range(1, key + 1))):
                failures.append(f"{key} was committed in {block}, but there are {snapshot.blocks}, {len(keys)} keys")
                return
            if key and key not in search(snapshot, f"ord-{key:06d}"):
                failures.append(f"{key} is missing")
                return

    readers = [threading.Thread(target=read, args=(shared,)) for _ in range(3)]
    readers.append(threading.Thread(target=read, args=(TextReader(folder),)))
    with writing_process(folder, 300, 20) as process:
        assert process.stdout
        for thread in readers:
            thread.start()
        while latest[0] < 800 and not failures:  # three blocks, merged several times
            key, block = map(int, process.stdout.readline().split())
            latest[:] = [key, block]
        done.set()
        for thread in readers:
            thread.join()
    assert not failures


def test_a_block_with_an_inverted_index_of_keys_is_continued(folder: Path) -> None:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=False, indexed=True, fast=True)
    builder.add_text_field("doc", stored=False, tokenizer_name="trigram", index_option="basic")
    schema = builder.build()
    generation = create_generation(folder).with_next_block()
    write_generation(folder, generation)
    path = block_path(folder, generation.last_block)
    path.mkdir()
    tantivy.Index(schema, str(path))
    assert fill(folder, range(1, 101)).keys() == set(range(1, 101))
    assert list_block_numbers(folder) == [generation.last_block]
    snapshot = TextReader(folder).refresh()
    assert search(snapshot, "order") == list(range(1, 101))
    result = snapshot.find_candidates(["order"], limit=100, at_least=40, below=60)
    assert result.keys.tolist() == list(range(40, 60))
