"""What can go wrong, in one family.

Every error has a `code` (a stable word for programs), a message for people and, where it helps, a
`hint` that says what would be right. Lower rooms raise these; only the HTTP room knows statuses
(`flower.api.STATUS`). Each class is also the builtin that fits, so `except LookupError` works.

    FlowerError
    ├── Invalid (ValueError)            the caller asked for something that makes no sense
    │   ├── SearchError                 a query that cannot be parsed; says where
    │   └── NotWhole                    the arguments of a task are not known in full; says which, and what is
    ├── NotFound (LookupError)          there is no such thing
    │   ├── NotRegistered               the application has no such task
    │   └── NoSuchTask                  no result, or no record, under that id
    ├── WaitedTooLong (TimeoutError)    the answer did not come in time
    ├── Forbidden (PermissionError)     understood and refused, by us or by a worker
    ├── TaskFailed (RuntimeError)       the task ran and raised
    ├── Unavailable (ConnectionError)   broker or result backend cannot be reached
    │   └── NoResultBackend             the application keeps no results
    └── StoreError (OSError)            the store cannot be used
        ├── StoreInUse                  another process writes to it
        ├── NotAStore                   the path holds something else
        ├── WrongVersion                written in a format that this program does not read
        └── StoreFull                   the disk has no room; nothing was written
"""


class FlowerError(Exception):
    """Base of all errors of this package."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidRequest(FlowerError, ValueError):
    code = "invalid"


class SearchError(InvalidRequest):
    """`position` counts characters of the trimmed query from 0; None if no place can be named."""

    code = "invalid_search"

    def __init__(self, message: str, position: int | None = None, *, hint: str = "") -> None:
        where = f"{message} at position {position}." if position is not None else message
        super().__init__(where, hint=hint)
        self.position = position


class TruncatedArguments(InvalidRequest):
    """`part` is `args` or `kwargs`, `text` what the event has of it (None if nothing), `reason` what is wrong with
    it."""

    code = "arguments_not_whole"

    def __init__(self, message: str, part: str, text: str | None, reason: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.part = part
        self.text = text
        self.reason = reason


class NotFound(FlowerError, LookupError):
    code = "not_found"


class NotRegistered(NotFound):
    code = "not_registered"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown task '{name}'", hint="not registered in this application")
        self.name = name


class NoSuchTask(NotFound):
    code = "no_such_task"


class DeadlineExceeded(FlowerError, TimeoutError):
    code = "timeout"


class Forbidden(FlowerError, PermissionError):
    code = "forbidden"


class TaskFailed(FlowerError, RuntimeError):
    """The task raised; `exception` is its repr, `traceback` its text."""

    code = "task_failed"

    def __init__(self, message: str, *, exception: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.exception = exception
        self.traceback = traceback


class BackendUnavailable(FlowerError, ConnectionError):
    code = "unavailable"


class NoResultBackend(BackendUnavailable):
    code = "no_result_backend"

    def __init__(self) -> None:
        super().__init__("The application has no result backend", hint="set result_backend in its configuration")


class StoreError(FlowerError, OSError):
    code = "store"


class StoreInUse(StoreError):
    code = "store_in_use"


class InvalidStore(StoreError):
    code = "not_a_store"


class StoreVersionMismatch(StoreError):
    code = "wrong_version"


class StoreFull(StoreError):
    code = "store_full"
