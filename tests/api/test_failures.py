"""Decisions about failure groups."""

from pathlib import Path

from flower.api.failures import carry_over_decisions, load_failure_statuses, load_failures, set_failure_status
from flower.fingerprint import compute_fingerprint, message_id
from flower.records import Task
from flower.store.factory import open_ledger
from flower.store.ledger.failure_notes import FailureNote
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/pictures.py", line 8, in open_picture
    raise Unreadable(path)
shop.Unreadable: {}
"""


def test_decisions_of_earlier_versions_apply_to_the_present_group(tmp_path: Path) -> None:
    """Earlier versions compared the message, so that one defect was two groups."""
    store, ledger = MemoryStore(), open_ledger(tmp_path)
    tasks = [
        Task(
            uuid=kind, name="shop.thumbnail", state="FAILURE", received=100.0, failed=101.0, timestamp=101.0,
            exception=f"Unreadable('{kind}')", traceback=TRACEBACK.format(kind),
        )
        for kind in ("bell", "seed")
    ]  # fmt: skip
    MemoryWriter(store).write(Batch(new=tasks))
    reader = MemoryReader(store)
    ids = []
    for task in tasks:
        found = compute_fingerprint(task.exception, task.traceback)
        assert found is not None
        ids.append((message_id(found.exception, found.message, found.frame), found.id))
    (bell, group), (seed, _) = ids
    ledger.failure_notes.put(FailureNote(failure=bell, decision="resolved", created_by="ann", created_at=200.0))
    ledger.failure_notes.put(FailureNote(failure=seed, decision="muted", created_by="bob", created_at=300.0))
    ledger.failure_notes.record_first_seen({seed: 50.0})
    carry_over_decisions(reader, ledger)
    assert set(ledger.failure_notes.notes()) == {group}
    [row] = load_failures(reader, ledger).failures
    assert (row.fingerprint.id, row.status, row.count, row.first_seen_at) == (group, "muted", 2, 50.0)
    # a decision that was made since then is not replaced
    ledger.failure_notes.put(FailureNote(failure=bell, decision="resolved", created_by="ann", created_at=400.0))
    set_failure_status(reader, ledger, group, "muted", by="cleo")
    carry_over_decisions(reader, ledger)
    assert load_failure_statuses(reader, ledger).notes[group].created_by == "cleo"
    ledger.close()
