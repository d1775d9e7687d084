"""The text index: it never misses a row, whatever is in the texts and whatever happens to its files."""

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
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flower.store.sqlite.text import (
    MAX_COMMIT_CHARACTERS,
    Indexer,
    IndexSnapshot,
    PendingText,
    TextIndexError,
    TextReader,
    TextWriter,
    split_trigrams,
)
from flower.store.sqlite.text.generation import (
    MAX_BLOCK_NUMBER,
    IndexGeneration,
    create_generation,
    read_generation,
    write_generation,
)
from flower.store.sqlite.text.trigrams import combine_trigrams, normalize_text
from tests.helpers.servers import wait_for

BLOCK = 100


@contextmanager
def writing(folder: Path, block_docs: int = BLOCK) -> Iterator[TextWriter]:
    writer = TextWriter(folder, max_block_documents=block_docs)
    try:
        yield writer
    finally:
        writer.close()


def text_of(key: int) -> str:
    return f"Order ORD-{key:06d} for customer{key % 7}@example.com"


def fill(folder: Path, keys: Sequence[int], commit_every: int = 25) -> dict[int, int]:
    """key → number of the block"""
    blocks: dict[int, int] = {}
    with writing(folder) as writer:
        for place in range(0, len(keys), commit_every):
            part = keys[place : place + commit_every]
            for key in part:
                writer.add(key, text_of(key))
            blocks.update(dict.fromkeys(part, writer.commit()))
    return blocks


def found(look: IndexSnapshot, *needles: str, limit: int = 100_000) -> list[int]:
    return look.find_candidates([needle.casefold() for needle in needles], limit=limit).keys.tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "text"


# --- what is found

NASTY = "aAbBsSßẞiIİıﬁſKkΣςσ0 \n\t\0\ud800\udfff?'\"\\{}😀é́ǰ\u0345"
words = st.text(alphabet=NASTY, min_size=0, max_size=12) | st.text(max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(words, min_size=1, max_size=8), other=words, data=st.data())
@example(texts=["STRASSE", "straße", "ﬁn", "İx", "a\0b", "x\ud800y"], other="ßss", data=None)
def test_all_that_holds_is_found(texts: list[str], other: str, data: st.DataObject | None) -> None:
    needles = [other.casefold()]
    for text in map(str.casefold, texts):
        if data is not None and len(text) >= 3:
            start = data.draw(st.integers(0, len(text) - 3))
            needles.append(text[start : start + data.draw(st.integers(3, 12))])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, writing(Path(directory)) as writer:
        for key, text in enumerate(texts, 1):
            writer.add(key, text)
        writer.commit()
        look = TextReader(Path(directory)).refresh()
        for needle in needles:
            if len(needle) < 3:
                continue
            true = {key for key, text in enumerate(texts, 1) if needle in text.casefold()}
            assert true <= set(found(look, needle)), needle


def test_folding_twice_changes_nothing_more() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        assert normalize_text(normalize_text(character)) == normalize_text(character)
        assert normalize_text(character).encode()


def test_a_long_text_and_long_needles(folder: Path) -> None:
    chance = random.Random(1)
    text = "".join(chance.choice("abcdefghij ") for _ in range(200_000))
    with writing(folder) as writer:
        writer.add(1, text)
        writer.add(2, text[:1000] + "x" + text[1000:2000])
        writer.add(3, "y" * 3_000_000)
        writer.commit()
    look = TextReader(folder).refresh()
    assert found(look, text[150_000:150_030]) == [1]
    assert 1 in found(look, text)
    assert found(look, "y" * 100_000) == [3]
    assert found(look, text[5:25], text[100_000:100_030]) == [1]


def test_needles_become_trigrams() -> None:
    assert split_trigrams("abcabc") == ("abc", "bca", "cab")
    assert split_trigrams("Straße") == ("str", "tra", "ras", "ass", "sse")
    assert split_trigrams("ab") == ()
    long = split_trigrams("".join(map(chr, range(0x4E00, 0x5E00))))
    assert len(long) == 24
    assert long[0][0] == chr(0x4E00)
    assert long[-1][-1] == chr(0x5DFF)
    assert len(combine_trigrams([f"{number:030}x{number * 7919:030}" for number in range(50)])) <= 64
    for useless in ([], ["abc", "ab"]):
        with pytest.raises(ValueError, match=r"too short|nothing"):
            combine_trigrams(useless)


def test_all_needles_must_be_there(folder: Path) -> None:
    fill(folder, range(1, 251))
    look = TextReader(folder).refresh()
    assert found(look, "customer3@") == list(range(3, 251, 7))
    assert found(look, "customer3@", "ord-000199") == [199]
    assert found(look, "customer4@", "ord-000199") == []
    assert found(look, "customer3@", "nowhere") == []


# --- how many of it


def test_pages_of_candidates(folder: Path) -> None:
    keys = list(range(1, 351))
    fill(folder, keys)
    look = TextReader(folder).refresh()
    assert len(look.blocks) == 4
    for limit in (1, 7, 50, 100, 120, 350, 1000):
        seen: list[int] = []
        below: int | None = None
        while True:
            page = look.find_candidates(["order"], limit=limit, below=below)
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
    look = TextReader(folder).refresh()
    page = look.find_candidates(["order"], limit=20, below=300, at_least=290)
    assert (page.keys.tolist(), page.total, page.lowest) == (list(range(290, 300)), 10, 290)
    page = look.find_candidates(["order"], limit=5, below=10**30, total=False)
    assert (page.keys.tolist(), page.lowest) == ([346, 347, 348, 349, 350], 346)
    assert page.total in (None, 350)
    assert look.find_candidates(["customer3@"], limit=1000, total=False).total == 50
    assert look.find_candidates(["order"], limit=10, below=1).keys.tolist() == []
    with pytest.raises(ValueError, match="limit"):
        look.find_candidates(["order"], limit=0)


@settings(max_examples=25, deadline=None)
@given(
    added=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=120),
    limit=st.integers(1, 30),
    below=st.none() | st.integers(1, 70),
    at_least=st.integers(0, 40),
    total=st.booleans(),
)
def test_keys_in_any_order_and_several_times(
    added: list[tuple[int, bool]], limit: int, below: int | None, at_least: int, total: bool
) -> None:
    """Blocks whose keys overlap, and rows that are in several."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        writing(Path(directory), block_docs=20) as writer,
    ):
        for number, (key, holds) in enumerate(added):
            writer.add(key, "needle" if holds else "other")
            if number % 7 == 6:
                writer.commit()
        writer.commit()
        documents = [key for key, holds in added if holds and at_least <= key < (below or 1000)]
        page = (
            TextReader(Path(directory))
            .refresh()
            .find_candidates(["needle"], limit=limit, below=below, at_least=at_least, total=total)
        )
        if total:
            assert page.total == len(documents)
        assert TextReader(Path(directory)).refresh().max_candidates(["needle"]) == sum(holds for _, holds in added)
        assert page.keys.tolist() == sorted(key for key in set(documents) if key >= page.lowest)
        assert len(page.keys) <= limit
        if not len(page.keys):
            assert not documents


# --- blocks and their numbers


def test_blocks_roll_over_after_a_commit(folder: Path) -> None:
    blocks = fill(folder, range(1, 261), commit_every=60)
    first = blocks[1]
    assert [blocks[key] - first for key in (1, 61, 120, 121, 240, 241)] == [0, 0, 0, 1, 1, 2]
    assert TextReader(folder).refresh().blocks == set(blocks.values())
    again = fill(folder, [261])
    assert again[261] == blocks[260]  # goes on where there is room


def test_nothing_to_commit(folder: Path) -> None:
    with writing(folder) as writer:
        assert writer.commit() == 0
        assert writer.blocks == frozenset()
        writer.add(1, "one")
        assert writer.commit() == writer.commit()
        assert writer.blocks == {writer.commit()}


def test_old_blocks_are_dropped(folder: Path) -> None:
    blocks = fill(folder, range(1, 351))
    reader = TextReader(folder)
    before = reader.refresh()
    with writing(folder) as writer:
        writer.delete_before(150)
        assert writer.blocks == {blocks[150], blocks[250], blocks[350]}
        assert found(reader.refresh(), "order") == list(range(101, 351))
        assert len(found(before, "order")) == 350  # a look stays as it was
        writer.add(351, text_of(351))
        writer.commit()
        writer.delete_before(10_000)
        assert writer.blocks == frozenset()
        writer.add(352, text_of(352))
        assert writer.commit() > blocks[350]
    assert found(reader.refresh(), "order") == [352]
    assert len(list(folder.iterdir())) == 2


def test_numbers_of_removed_blocks_are_not_given_again(folder: Path) -> None:
    given: list[int] = []
    generation = ""
    for _ in range(4):
        with writing(folder) as writer:
            assert generation in ("", writer.generation)
            generation = writer.generation
            writer.add(1, "one")
            given.append(writer.commit())
        shutil.rmtree(folder / f"{given[-1]:06d}")
    assert len(set(given)) == 4


def test_when_numbers_run_out_all_begins_anew(folder: Path) -> None:
    mark = create_generation(folder)
    write_generation(folder, IndexGeneration(mark.name, MAX_BLOCK_NUMBER - 1))
    with writing(folder) as writer:
        for key in range(BLOCK):
            writer.add(key, text_of(key))
        assert writer.commit() == MAX_BLOCK_NUMBER
        with pytest.raises(TextIndexError, match="numbers"):
            writer.add(BLOCK, text_of(BLOCK))
    with writing(folder) as writer:
        assert writer.generation != mark.name
        assert writer.blocks == frozenset()


def copied(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def folded_otherwise(folder: Path) -> None:
    """By a Python with another version of Unicode."""
    told = json.loads((folder / "mark.json").read_bytes())
    told["rules"] = "1/9.0.0"
    with (folder / "mark.json").open("r+") as file:
        file.write(json.dumps(told))
        file.truncate()


@pytest.mark.parametrize(
    "happens",
    [
        shutil.rmtree,
        copied,
        folded_otherwise,
        lambda folder: (folder / "mark.json").unlink(),
        lambda folder: (folder / "mark.json").write_bytes(b"\0" * 50),
    ],
)
def test_an_index_that_cannot_be_trusted_is_begun_anew(folder: Path, happens: Callable[[Path], object]) -> None:
    fill(folder, range(1, 251))
    reader = TextReader(folder)
    before = reader.refresh()
    happens(folder)
    after = reader.refresh()
    assert (after.generation, after.blocks) == ("", frozenset())
    with writing(folder) as writer:
        assert writer.generation != before.generation
        assert writer.blocks == frozenset()
        writer.add(7, text_of(7))
        writer.commit()
        after = reader.refresh()
        assert after.generation == writer.generation
        assert found(after, "order") == [7]


def test_moving_the_folder_keeps_it(folder: Path) -> None:
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


def overwritten(file: Path) -> None:
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    content[:half] = random.Random(3).randbytes(half)
    file.unlink()
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "missing": Path.unlink,
    "overwritten": overwritten,
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("suffix", [".idx", ".term", ".fast", "meta.json"])
@pytest.mark.parametrize("place", [50, 150, 240])
def test_a_damaged_block_goes_and_the_rest_stays(
    folder: Path, how: str, suffix: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = fill(folder, range(1, 251))
    hurt = blocks[place]
    files = [folder / f"{hurt:06d}" / suffix] if suffix == "meta.json" else files_of(folder, hurt, suffix)
    DAMAGE[how](files[0])
    left = [key for key, block in blocks.items() if block != hurt]
    with writing(folder) as writer:
        while writer.verify_next():
            pass
        assert writer.blocks == set(blocks.values()) - {hurt}
        assert found(TextReader(folder).refresh(), "order") == left
        writer.add(300, text_of(300))
        writer.commit()
        assert found(TextReader(folder).refresh(), "order") == [*left, 300]
    assert caplog.text.count("Damaged part of the text index removed") == 1


@pytest.mark.parametrize("suffix", [".idx", ".term", ".fast", "meta.json"])
def test_a_reader_does_not_count_on_a_damaged_block(folder: Path, suffix: str) -> None:
    blocks = fill(folder, range(1, 251))
    hurt = blocks[150]
    files = [folder / f"{hurt:06d}" / suffix] if suffix == "meta.json" else files_of(folder, hurt, suffix)
    DAMAGE["truncated"](files[0])
    assert TextReader(folder).refresh().blocks == set(blocks.values()) - {hurt}


def test_something_else_where_the_index_should_be(folder: Path) -> None:
    folder.write_text("mine")
    assert TextReader(folder).refresh().blocks == frozenset()
    with pytest.raises(TextIndexError):
        TextWriter(folder)
    assert folder.read_text() == "mine"


def test_the_folder_goes_while_it_is_written(folder: Path) -> None:
    writer = TextWriter(folder)
    writer.add(1, "one")
    writer.commit()
    shutil.rmtree(folder)
    with pytest.raises(TextIndexError):
        _ = writer.blocks
    with pytest.raises(TextIndexError):  # noqa: PT012 - either may notice it
        writer.add(2, "two")
        writer.commit()
    writer.close()
    with writing(folder) as again:
        again.add(3, "three")
        again.commit()
        assert found(TextReader(folder).refresh(), "three") == [3]


# --- other processes

WRITER = """
import sys
from pathlib import Path
from flower.store.sqlite.text import TextWriter
folder, block_docs, commit_every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = TextWriter(folder, block_docs=block_docs)
key = 0
while True:
    for _ in range(commit_every):
        key += 1
        writer.add(key, f"Order ORD-{key:06d} for customer{key % 7}@example.com")
    print(key, writer.commit(), flush=True)
"""


@contextmanager
def writing_process(folder: Path, block_docs: int, commit_every: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(folder), str(block_docs), str(commit_every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("commits", [1, 7, 23])
def test_killed_in_the_middle(folder: Path, commits: int) -> None:
    told: dict[int, int] = {}
    with writing_process(folder, 1000, 150) as process:
        assert process.stdout
        for _ in range(commits):
            key, block = map(int, process.stdout.readline().split())
            told[key] = block
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:  # what it said before it died, as far as it came with it
            if line.endswith("\n"):
                key, block = map(int, line.split())
                told[key] = block
    last = max(told)
    with writing(folder, 1000) as writer:
        while writer.verify_next():
            pass
        look = TextReader(folder).refresh()
        assert set(told.values()) <= look.blocks == writer.blocks
        assert found(look, "order")[:last] == list(range(1, last + 1))
        writer.add(900_000, text_of(900_000))
        assert writer.commit() >= max(told.values())
        assert 900_000 in found(TextReader(folder).refresh(), "order")


def test_readers_while_another_process_writes_and_merges(folder: Path) -> None:
    shared = TextReader(folder)
    shared.refresh()
    latest = [0, 0]
    troubles: list[str] = []
    done = threading.Event()

    def read(reader: TextReader) -> None:
        while not done.is_set():
            key, block = latest
            look = reader.refresh()
            keys = found(look, "order")
            if key and (block not in look.blocks or keys[:key] != list(range(1, key + 1))):
                troubles.append(f"{key} was committed in {block}, seen: {look.blocks}, {len(keys)} keys")
                return
            if key and key not in found(look, f"ord-{key:06d}"):
                troubles.append(f"{key} is missing")
                return

    readers = [threading.Thread(target=read, args=(shared,)) for _ in range(3)]
    readers.append(threading.Thread(target=read, args=(TextReader(folder),)))
    with writing_process(folder, 300, 20) as process:
        assert process.stdout
        for thread in readers:
            thread.start()
        while latest[0] < 800 and not troubles:  # three blocks, merged several times
            key, block = map(int, process.stdout.readline().split())
            latest[:] = [key, block]
        done.set()
        for thread in readers:
            thread.join()
    assert not troubles


# --- the indexer


class Rows:
    """A source as a store would be: each row remembers its version, and which block holds which."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.texts: dict[int, tuple[int, str]] = {}
        self.noted: dict[int, tuple[int, str, int]] = {}
        self.generation = ""
        self.readable: frozenset[int] = frozenset()
        self.lowest = 0
        self.fails = 0

    def write(self, key: int, text: str) -> None:
        with self.lock:
            self.texts[key] = (self.texts.get(key, (0, ""))[0] + 1, text)

    def is_pending(self, key: int, look: IndexSnapshot | None = None) -> bool:
        version, generation, block = self.noted.get(key, (0, "", 0))
        blocks, now = (look.blocks, look.generation) if look else (self.readable, self.generation)
        return version != self.texts[key][0] or generation != now or block not in blocks

    def pending(self, limit: int) -> list[PendingText]:
        with self.lock:
            if self.fails:
                self.fails -= 1
                raise OSError("the rows cannot be read")
            keys = [key for key in sorted(self.texts) if self.is_pending(key)][:limit]
            return [PendingText(key, *self.texts[key]) for key in keys]

    def indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        with self.lock:
            self.readable |= {block}
            self.noted.update({key: (version, self.generation, block) for key, version in done})

    def lowest_key(self) -> int:
        return self.lowest

    def blocks(self, generation: str, readable: frozenset[int]) -> None:
        with self.lock:
            self.generation, self.readable = generation, readable

    def search(self, reader: TextReader, needle: str) -> list[int]:
        """As a store does it: a look at the rows, then one at the index; what is not in it is read."""
        with self.lock:
            look = reader.refresh()
            unseen = [key for key in self.texts if self.is_pending(key, look)]
            keys = {*unseen, *(key for key in found(look, needle) if key in self.texts)}
            return sorted(key for key in keys if needle in self.texts[key][1].casefold())

    def all_indexed(self) -> bool:
        with self.lock:
            return not any(map(self.is_pending, self.texts))


@contextmanager
def indexing(folder: Path, rows: Rows, chunk: int = 40) -> Iterator[Indexer]:
    indexer = Indexer(folder, rows, max_block_documents=BLOCK, max_rows=chunk, poll_interval=0.05)
    indexer.start()
    try:
        yield indexer
    finally:
        began = time.monotonic()
        indexer.stop()
        assert time.monotonic() - began < 3  # far less where nothing else runs
        assert not indexer.is_alive()


def test_rows_are_indexed_and_found_meanwhile(folder: Path) -> None:
    rows, reader = Rows(), TextReader(folder)
    with indexing(folder, rows):
        for key in range(1, 401):
            rows.write(key, text_of(key))
            if not key % 50:
                assert rows.search(reader, "order") == list(range(1, key + 1))
        wait_for("all rows", rows.all_indexed, 20)
        for key in range(1, 401, 10):
            rows.write(key, "changed")
            assert key in rows.search(reader, "changed")
        wait_for("the changed rows", rows.all_indexed, 20)
        assert rows.search(reader, "changed") == list(range(1, 401, 10))
        assert not set(rows.search(reader, "order")) & set(range(1, 401, 10))
    rows.write(500, "after")
    with indexing(folder, rows):
        wait_for("what came while nobody indexed", rows.all_indexed, 20)
    assert len(rows.search(reader, "order")) == 360


def test_the_index_is_deleted_while_it_is_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows, reader = Rows(), TextReader(folder)
    for key in range(1, 301):
        rows.write(key, text_of(key))
    with indexing(folder, rows):
        wait_for("all rows", rows.all_indexed, 20)
        before = rows.generation
        shutil.rmtree(folder)
        assert rows.search(reader, "order") == list(range(1, 301))
        wait_for("a new index", lambda: rows.generation != before and rows.all_indexed(), 20)
        assert rows.search(reader, "order") == list(range(1, 301))
        assert len(found(reader.refresh(), "order")) == 300
    assert caplog.text.count("The text index waits") == 1


def test_trouble_is_told_once_and_passes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="flower.store.sqlite.text")
    rows = Rows()
    rows.fails = 3
    rows.write(1, "one")
    with indexing(folder, rows) as indexer:
        wait_for("trouble", lambda: indexer.error == "the rows cannot be read", 10)
        wait_for("the row", rows.all_indexed, 20)
        wait_for("no trouble", lambda: not indexer.error, 10)
    assert caplog.text.count("The text index waits: the rows cannot be read") == 1
    assert caplog.text.count("The text index goes on") == 1


def test_stopping_in_the_middle_of_much(folder: Path) -> None:
    rows = Rows()
    for key in range(1, 20_001):
        rows.write(key, text_of(key) * 20)
    with indexing(folder, rows, chunk=20_000):
        wait_for("the first rows", lambda: bool(rows.noted), 20)
        assert not rows.all_indexed()
    assert len(rows.search(TextReader(folder), "order")) == 20_000


def test_long_texts_are_committed_in_parts(folder: Path) -> None:
    class Counting(Rows):
        commits = 0

        def indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
            self.commits += 1
            super().indexed(done, block)

    rows = Counting()
    for key in range(1, 31):
        rows.write(key, f"{key:06d} " * 100_000)
    with indexing(folder, rows):
        wait_for("all rows", rows.all_indexed, 60)
    assert rows.commits >= 30 * 700_000 // MAX_COMMIT_CHARACTERS
    assert rows.search(TextReader(folder), "000007") == [7]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_a_full_disk(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, filler = disk / "text", disk / "filler"
    rows, reader = Rows(), TextReader(folder)
    for key in range(1, 101):
        rows.write(key, text_of(key))
    with indexing(folder, rows, chunk=2000) as indexer:
        wait_for("the first rows", rows.all_indexed, 20)
        filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 30_000))
        chance = random.Random(4)
        for key in range(101, 1001):
            rows.write(key, f"order {chance.randbytes(100).hex()}")
        wait_for("trouble", lambda: "No space left" in indexer.error, 20)
        assert rows.search(reader, "order") == list(range(1, 1001))
        filler.unlink()
        wait_for("all rows", rows.all_indexed, 40)
        assert rows.search(reader, "order") == list(range(1, 1001))
        assert len(found(reader.refresh(), "order")) >= 1000
    assert caplog.text.count("The text index waits") == 1
    assert read_generation(folder) is not None


def test_a_disk_that_is_full_from_the_start(disk: Path) -> None:
    (disk / "filler").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
    rows = Rows()
    rows.write(1, "one order")
    with indexing(disk / "text", rows) as indexer:
        wait_for("trouble", lambda: bool(indexer.error), 10)
        (disk / "filler").unlink()
        wait_for("the row", rows.all_indexed, 20)
