"""The columns of the explorer by the words of the option `tasks_columns`."""

from typing import Final

#: As Flower has them, and `queue`. The pages know more; these can be the first ones.
EXPLORER_COLUMNS: Final = (
    "name", "uuid", "state", "args", "kwargs", "result", "received", "started", "runtime", "worker", "exchange",
    "routing_key", "retries", "revoked", "exception", "expires", "eta", "queue",
)  # fmt: skip


def parse_tasks_columns(option: str) -> tuple[str, ...]:
    """In the order of the option; words that name no column are left out."""
    words = dict.fromkeys(word.strip().lower() for word in option.split(","))
    return tuple(word for word in words if word in EXPLORER_COLUMNS)
