"""Logging configuration: standard error, a log file rotated by size or time, or both."""

import faulthandler
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from typing import Literal

from flower.errors import InvalidRequest
from flower.log_rate_limit import LogRateLimit


@dataclass(frozen=True, slots=True)
class LogFile:
    path: str
    #: rotate after `max_bytes`, or after `interval` times `when` (S, M, H, D, W0 to W6, midnight)
    rotate: Literal["size", "time"] = "size"
    max_bytes: int = 100_000_000
    when: str = "midnight"
    interval: int = 1
    #: number of rotated files to keep
    backups: int = 10


@dataclass(slots=True)
class _Settings:
    """What `configure_logging` was called with."""

    level: int = logging.WARNING
    handlers: list[logging.Handler] = field(default_factory=list)
    #: where faulthandler writes
    fault_descriptor: int | None = None


_settings = _Settings()

#: Above every level: nothing is logged.
_NOTHING = logging.CRITICAL + 1


def configure_logging(level: str, file: LogFile | None = None, *, to_stderr: bool = True) -> None:
    """Log everything of `flower` and only warnings of libraries; nothing at all if the level is `none`. Raises
    InvalidRequest if the file cannot be written."""
    quiet = level.upper() == "NONE"
    handlers = _handlers(file, to_stderr=to_stderr)
    root = logging.getLogger()
    for handler in _settings.handlers:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        handler.setFormatter(_LogFormatter("[%(levelname).1s %(asctime)s %(name)s] %(message)s", "%y%m%d %H:%M:%S"))
    root.setLevel(_NOTHING if quiet else logging.WARNING)
    _settings.level = _NOTHING if quiet else logging.getLevelNamesMapping()[level.upper()]
    _settings.handlers = handlers
    _log_fatal_signals(handlers)
    restore_logging()


def _log_fatal_signals(handlers: list[logging.Handler]) -> None:
    """Write a traceback where the log is if a signal such as SIGBUS or SIGSEGV ends the process."""
    files = [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]
    if not files:
        return
    with suppress(OSError, ValueError):  # a stream without a descriptor
        # a duplicate, because a rotated log file is closed
        descriptor = os.dup(files[-1].stream.fileno())
        faulthandler.enable(descriptor)
        if _settings.fault_descriptor is not None:
            os.close(_settings.fault_descriptor)
        _settings.fault_descriptor = descriptor


def restore_logging() -> None:
    """Apply the settings again, after the application was imported: many applications configure logging themselves
    (Django's LOGGING), which disables or redirects the loggers of all modules that were imported before. Messages of
    libraries are left to the handlers of the application, if it has any."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("flower.") and isinstance(logger, logging.Logger):
            _reset(logger)
    own = logging.getLogger("flower")
    _reset(own)
    own.setLevel(_settings.level)
    own.propagate = False  # the handlers of the application would write each message again
    own.handlers = list(_settings.handlers)
    root = logging.getLogger()
    others = [handler for handler in root.handlers if handler not in _settings.handlers]
    root.handlers = others or list(_settings.handlers)


def _reset(logger: logging.Logger) -> None:
    """Undo the configuration of a logger, so that its messages reach the logger `flower`."""
    logger.disabled = False
    logger.propagate = True
    logger.handlers = []
    logger.filters = [each for each in logger.filters if isinstance(each, LogRateLimit)]
    logger.setLevel(logging.NOTSET)


def forward_child_line(line: str) -> None:
    """Log a line that a child process has formatted already."""
    record = logging.LogRecord(_FORWARDED, logging.CRITICAL, "", 0, line, None, None)
    logging.getLogger("flower").handle(record)


#: Logger name of records that are formatted already.
_FORWARDED = "relayed"


class _LogFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.name == _FORWARDED else super().format(record)


def _handlers(file: LogFile | None, *, to_stderr: bool) -> list[logging.Handler]:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if to_stderr else []
    if file is not None:
        try:
            handlers.append(_file_handler(file))
        except OSError as error:
            raise InvalidRequest(f"Cannot write the log file {file.path}: {error.strerror or error}") from error
    return handlers or [logging.NullHandler()]  # without a handler Python writes warnings to standard error


def _file_handler(file: LogFile) -> logging.Handler:
    if file.rotate == "size":
        return RotatingFileHandler(file.path, maxBytes=file.max_bytes, backupCount=file.backups, encoding="utf-8")
    return TimedRotatingFileHandler(
        file.path, when=file.when, interval=file.interval, backupCount=file.backups, encoding="utf-8"
    )
