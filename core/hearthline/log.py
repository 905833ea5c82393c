"""Structured logs: one fixed message, facts as fields, one JSON object a line on standard error.

No personal data: fields carry pseudonymous ids only.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import Any, TextIO

import msgspec

from hearthline.clock import rfc3339

_FIELDS = "hearthline_fields"


class JsonFormatter(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …, **fields}`"""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": rfc3339(int(record.created * 1_000_000) * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in getattr(record, _FIELDS, {}).items():
            line[f"{name}_" if name in line else name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except Exception:  # noqa: BLE001 - whatever a value is, a log line must not be the thing that fails
            return msgspec.json.encode({name: _plain(value) for name, value in line.items()}).decode()


def _plain(value: object) -> str:
    """Any value as a text that JSON can hold."""
    try:
        return ascii(value) if not isinstance(value, str) else value.encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001 - a value that cannot even be shown
        return f"<{type(value).__name__}>"


class Log:
    """A logger whose calls take facts as keyword arguments."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: object) -> None:
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: object) -> None:
        """As `error`, with the traceback of the exception being handled."""
        self._logger.error(message, exc_info=True, extra={_FIELDS: fields})

    def _write(self, level: int, message: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={_FIELDS: fields})


class Excerpt(logging.Handler):
    """The last lines of the log, in memory: whoever asks from afar sees these and no file. Bounded."""

    def __init__(self, lines: int, characters: int) -> None:
        super().__init__()
        self._characters = characters
        self._lines: deque[str] = deque(maxlen=lines)
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        kept = line if len(line) <= self._characters else line[: self._characters - 1] + "…"
        self._lines.append(kept)

    def last(self, count: int) -> list[str]:
        """The oldest first."""
        self.acquire()  # another thread may be writing
        try:
            lines = list(self._lines)
        finally:
            self.release()
        return lines[-count:] if count > 0 else []


def configure_logging(level: str = "info", stream: TextIO | None = None, *beside: logging.Handler) -> None:
    """Send every log line of the process to `stream` (standard error) as JSON, and to the handlers `beside` it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler, *beside]
    root.setLevel(level.upper())
    logging.getLogger("mqtt").setLevel("CRITICAL")  # aiomqtt repeats what its caller is told by an exception
