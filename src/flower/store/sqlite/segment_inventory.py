"""Reading of all segments when the store is opened for writing: their metadata, which of them are damaged, and which
need maintenance."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.meta_update import MetaUpdate
from flower.store.sqlite.segment import DamagedFile, SegmentFile
from flower.store.sqlite.segment_files import SegmentFiles


@dataclass
class SegmentInventory:
    """The segments of a store by number, as they were found."""

    entries: dict[int, SegmentInfo] = field(default_factory=dict)
    #: reason of each damaged segment
    damaged: dict[int, object] = field(default_factory=dict)
    #: segments that are not in the present format, or without valid columns
    outdated: set[int] = field(default_factory=set)
    #: segments whose rows must be migrated, or whose columns must be rebuilt or sorted
    unmaintained: set[int] = field(default_factory=set)
    #: full segments that are not compressed
    plain: set[int] = field(default_factory=set)
    #: the part for meta.db of a write that was interrupted between the segments and meta.db
    interrupted: MetaUpdate | None = None


def take_inventory(files: SegmentFiles, numbers: Sequence[int], sequence: int) -> SegmentInventory:
    """Open each segment once, in ascending order; the last one is active. `sequence`: that of meta.db."""
    inventory = SegmentInventory()
    for number in numbers:
        active = number == numbers[-1]
        try:
            file = files.open(number, active=active)
            if file.info.sequence > sequence:
                inventory.interrupted = file.read_meta_update() or inventory.interrupted
            file.load_bloom_filter(files.bloom_filters)
            if active:
                _prepare_active(file)
            inventory.entries[number] = file.info
            if not (active or (file.is_migrated and file.columns.is_valid)):
                inventory.outdated.add(number)
            if not (file.is_migrated and file.columns.is_sorted):
                inventory.unmaintained.add(number)
            if not (active or file.is_compressed):
                inventory.plain.add(number)
            if file.sealed and not active:
                files.close(number)
        except DamagedFile as damage:
            files.close(number)
            files.bloom_filters.remove_filter(number)
            inventory.damaged[number] = damage.reason
    return inventory


def _prepare_active(file: SegmentFile) -> None:
    file.migrate()
    if not file.columns.is_valid:
        file.rebuild_columns()
