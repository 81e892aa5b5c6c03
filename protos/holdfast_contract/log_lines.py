"""One line for each event of a log, as text for people or as JSON for collectors; both name the call that it belongs to."""

from __future__ import annotations

import json
import logging
import time

from holdfast_contract.call_context import CallContext, current

FORMATS = ("text", "json")


def formatter(log_format: str, *, one_line: bool = True) -> logging.Formatter:
    """Returns what formats events.

    Args:
        log_format: text or json.
        one_line: of text: show line feeds instead of breaking lines, so that nobody can forge an event.

    Raises:
        ValueError: it is none of FORMATS.
    """
    if log_format not in FORMATS:
        raise ValueError(f"log_format = {log_format!r} is neither text nor json")
    return JsonLines() if log_format == "json" else TextLines(one_line=one_line)


class TextLines(logging.Formatter):
    """Time, level, logger, message, request id, and the traceback if there is one."""

    def __init__(self, *, one_line: bool) -> None:
        """Makes it; see `formatter`."""
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._one_line = one_line

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Formats the line without a traceback."""
        line = super().formatMessage(record)
        context = current.get()
        return f"{line} request_id={context.request_id}" if context.request_id else line

    def format(self, record: logging.LogRecord) -> str:
        """Formats one event."""
        text = super().format(record)
        return text.replace("\n", "\\n").replace("\r", "\\r") if self._one_line else text


class JsonLines(logging.Formatter):
    """An object for each event: time, level, logger, message, and of a call request_id, method, token_id, trace_id."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one event; JSON itself keeps it on one line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        shown: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_of_call(current.get()),
        }
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown)


def _of_call(context: CallContext) -> dict[str, object]:
    shown: dict[str, object] = {}
    if context.request_id:
        shown["request_id"] = context.request_id
    if context.method:
        shown["method"] = context.method
    if context.token_id is not None:
        shown["token_id"] = context.token_id
    if context.traceparent:
        shown["trace_id"] = context.traceparent.split("-")[1]
    return shown
