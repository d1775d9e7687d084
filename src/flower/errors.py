"""Exception hierarchy of the project.

Every error has a `code` (stable, for programs), a readable message and an optional `hint` that states what to do.
Only `flower.http` knows status codes (`flower.http.responses.STATUS`). Each class is also the matching builtin, so
`except LookupError` works.

    FlowerError
    ├── InvalidRequest (ValueError)          invalid arguments
    │   ├── SearchError                      a query that cannot be parsed; has the position
    │   └── TruncatedArguments               the arguments of a task are not known completely
    ├── NotFound (LookupError)               no such object
    │   ├── NotRegistered                    the application has no such task
    │   └── NoSuchTask                       no result and no record with that id
    ├── DeadlineExceeded (TimeoutError)      no result within the time limit
    ├── Forbidden (PermissionError)          refused by the server or by a worker
    ├── TooManyRequests (ConnectionError)    a client exceeds a limit
    ├── TaskFailed (RuntimeError)            the task raised an exception
    ├── BackendUnavailable (ConnectionError) the broker or the result backend is unreachable
    │   ├── NoResultBackend                  the application stores no results
    │   └── ResultTooLarge                   the stored result exceeds the limit of the decompressed size
    └── StoreError (OSError)                 the store cannot be used
        ├── StoreInUse                       another process writes to it
        ├── InvalidStore                     the path is not a store
        ├── StoreVersionMismatch             the format is not supported by this version
        ├── StoreFull                        the disk is full; nothing was written
        └── StoreDamaged                     a part of the store cannot be read
"""


class FlowerError(Exception):
    """Base class of all exceptions of the project."""

    code = "internal_error"

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        #: seconds until another attempt is useful; 0 if unknown
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidRequest(FlowerError, ValueError):
    code = "invalid_request"


class SearchError(InvalidRequest):
    """A query that cannot be parsed. `position` is the index of a character in the trimmed query; None if the error has
    no position."""

    code = "invalid_query"

    def __init__(self, message: str, position: int | None = None, *, hint: str = "") -> None:
        where = f"{message} at position {position}." if position is not None else message
        super().__init__(where, hint=hint)
        self.position = position


class TruncatedArguments(InvalidRequest):
    """The arguments of a task are not known completely. `part` is `args` or `kwargs`, `text` the text of the event
    (None if it has none), `reason` why it cannot be used."""

    code = "truncated_arguments"

    def __init__(self, message: str, part: str, text: str | None, reason: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.part = part
        self.text = text
        self.reason = reason


class NotFound(FlowerError, LookupError):
    code = "not_found"


class NotRegistered(NotFound):
    code = "task_not_registered"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown task '{name}'", hint="not registered in this application")
        self.name = name


class NoSuchTask(NotFound):
    code = "task_not_found"


class DeadlineExceeded(FlowerError, TimeoutError):
    code = "timeout"


class Forbidden(FlowerError, PermissionError):
    code = "forbidden"


class TooManyRequests(FlowerError, ConnectionError):
    code = "too_many_requests"


class TaskFailed(FlowerError, RuntimeError):
    """The task raised an exception; `exception` is its repr, `traceback` its text."""

    code = "task_failed"

    def __init__(self, message: str, *, exception: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.exception = exception
        self.traceback = traceback


class BackendUnavailable(FlowerError, ConnectionError):
    code = "backend_unavailable"


class NoResultBackend(BackendUnavailable):
    code = "no_result_backend"

    def __init__(self) -> None:
        super().__init__("The application has no result backend", hint="set result_backend in its configuration")


class ResultTooLarge(BackendUnavailable):
    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"The result of task '{task_id}' cannot be read: it is larger than 64 MB when decompressed",
            hint="read it with Celery, or store large results elsewhere",
        )


class StoreError(FlowerError, OSError):
    code = "store_unavailable"


class StoreInUse(StoreError):
    code = "store_in_use"


class InvalidStore(StoreError):
    code = "invalid_store"


class StoreVersionMismatch(StoreError):
    code = "store_version_mismatch"


class StoreFull(StoreError):
    code = "store_full"


class StoreDamaged(StoreError):
    code = "store_damaged"
