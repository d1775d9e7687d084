"""The format number of the store, and which numbers this version reads. The rules are in docs/upgrade.md.

Every SQLite file of a store has the number in its header (`user_version`), so that a copied segment is recognised
without the other files. Column files and text index are derived from the rows: they have numbers of their own, and a
file with another number is built again.
"""

from typing import Final

#: "Bell", the application id in the header of every SQLite file.
APPLICATION_ID: Final = 0x42656C6C

#: The format that this version writes. A new number requires a migration (`flower.store.sqlite.migration`).
STORE_FORMAT: Final = 2

#: The oldest format that this version reads and migrates.
OLDEST_FORMAT: Final = 1

#: Layout of the column files; in their own headers.
COLUMN_FORMAT: Final = 4

#: Documents of the text index and how their texts are normalized; in `text/mark.json`.
TEXT_INDEX_FORMAT: Final = 1

#: Layout of the template files of the text index, and how their texts are split; in their own headers.
TEMPLATE_FORMAT: Final = 1


def describe_mismatch(name: object, format_number: int) -> tuple[str, str] | None:
    """The error message and the hint for a file of this format; None if this version reads it."""
    if format_number > STORE_FORMAT:
        return (
            f"{name} has store format {format_number}, and this version of Bellflower reads up to {STORE_FORMAT}: a"
            " newer version wrote it. Nothing was changed",
            "install that version again, or restore a backup of this version into another directory",
        )
    if format_number < OLDEST_FORMAT:
        return (
            f"{name} has store format {format_number}, and this version of Bellflower reads from {OLDEST_FORMAT} on:"
            " an older version wrote it. Nothing was changed",
            "open it with a version in between, which migrates it",
        )
    return None
