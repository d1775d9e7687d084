"""Logging configuration: standard error, a log file rotated by size or time, or both."""

import logging
import sys
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from typing import Literal

from flower.errors import InvalidRequest


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


def configure_logging(level: str, file: LogFile | None = None, *, to_stderr: bool = True) -> None:
    """Log everything of `flower` and only warnings of libraries; nothing at all if the level is `none`. Raises
    InvalidRequest if the file cannot be written."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, _LogFormatter):  # added by an earlier call
            root.removeHandler(handler)
            handler.close()
    quiet = level.upper() == "NONE"
    root.setLevel(logging.CRITICAL + 1 if quiet else logging.WARNING)
    for handler in _handlers(file, to_stderr=to_stderr):
        handler.setFormatter(_LogFormatter("[%(levelname).1s %(asctime)s %(name)s] %(message)s", "%y%m%d %H:%M:%S"))
        root.addHandler(handler)
    logging.getLogger("flower").setLevel(logging.NOTSET if quiet else level.upper())


def forward_child_line(line: str) -> None:
    """Log a line that a child process has formatted already."""
    record = logging.LogRecord(_FORWARDED, logging.CRITICAL, "", 0, line, None, None)
    logging.getLogger().handle(record)


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
