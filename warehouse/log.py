"""Structured logging: every line is one JSON object with time, level, logger, run id and message.

Loggers are named after their modules (`logging.getLogger(__name__)`). Facts go into `extra`
(`extra={"dataset": …, "rows": …}`) and appear as keys of the line. `start()` is called once, by the
process's own entry (the command line, a flow run); libraries' lines go the same way.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from warehouse.settings import settings

_run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
OURS = ("warehouse", "quality", "tasks", "flows", "bi_app", "deployments")


class JsonLine(logging.Formatter):
    """Renders a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its extra facts, and with its exception's text if it has one."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "run_id": getattr(record, "run_id", None) or _run_id.get(),
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _PLAIN and k not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class _Handler(logging.StreamHandler[TextIO]):
    """Our handler, so that a second `start()` finds the first one's."""


def start(stream: TextIO | None = None) -> None:
    """Write the log as JSON lines to a stream (default: standard error); calling again moves it.

    Our own lines from the setting `log_level` up, those of libraries from WARNING up.
    """
    stop()
    root = logging.getLogger()
    if stream or not any(isinstance(h.formatter, JsonLine) for h in root.handlers):
        handler = _Handler(stream or sys.stderr)
        handler.setFormatter(JsonLine())
        root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(settings().log_level.upper())


def stop() -> None:
    """Write no more."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(handler)


@contextmanager
def during(run_id: str) -> Iterator[None]:
    """Give every line logged inside the run's id; threads see it if they copy the context."""
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)


def current_run() -> str | None:
    """The id of the run under way, or None."""
    return _run_id.get()
