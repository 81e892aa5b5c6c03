"""Everything the command line prints: consoles, JSON, sizes and times for people.

Text of users (descriptions, names, error messages) never controls the terminal: markup is off and control characters are
shown as escapes.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns when nobody looks: wide enough that no cell of a table is cut for want of a terminal."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE_FACTORS = {
    **{unit.lower(): 1 << (10 * power) for power, unit in enumerate(_UNITS)},
    **{unit: 1000**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb", "pb"))},
    **{unit: 1 << (10 * power) for power, unit in enumerate(("", "k", "m", "g", "t", "p"))},
}


def stdout_console() -> Console:
    """Console on what is standard output now; made anew for each use because tests and pipes replace it."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def stderr_console() -> Console:
    """Console on standard error: messages about the work, so that standard output stays clean for scripts."""
    width = None if sys.stderr.isatty() else PIPE_WIDTH
    return Console(stderr=True, width=width, markup=False, highlight=False, emoji=False)


def say(message: str) -> None:
    """One line about the work, on standard error."""
    stderr_console().print(printable(message), soft_wrap=True)


def print_error(message: str) -> None:
    """An error on standard error: its first line, and its last when there are more (the end of a log says most)."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    shown = [*lines[:1], *lines[1:][-1:]]
    text = Text("error: ", style="bold red").append(printable("\n".join(shown)), style="not bold default")
    stderr_console().print(text, soft_wrap=True)


def print_line(line: str) -> None:
    """One line of the result, on standard output, never wrapped."""
    stdout_console().print(printable(line), soft_wrap=True)


def print_json(value: object) -> None:
    """A result as JSON on standard output: indented for people, one document for scripts."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_json_line(value: object) -> None:
    """A result as one line of JSON, for outputs that repeat."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


def print_fields(fields: Mapping[str, object]) -> None:
    """`name  value` lines; fields without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print_line(f"{name:<{width}}  {value}")


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """A table whose cells are plain text."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def printable(text: str) -> str:
    """Text whose control characters, newlines excepted, are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def human_size(size_bytes: float) -> str:
    """Bytes for people, in powers of 1024: `1.5 MiB`."""
    size, unit = float(size_bytes), _UNITS[0]
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def human_duration(seconds: float) -> str:
    """A span of time for people: `0.42 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def human_time(milliseconds: int) -> str:
    """A moment for people, in UTC; empty for "never"."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def parse_size(text: str) -> int:
    """Bytes of `500MB`, `1GiB`, `1.5 g` or plain digits.

    Raises:
        ValueError: the text is no size.
    """
    compact = text.strip().lower().replace(" ", "").replace("_", "")
    digits = compact.rstrip("bikmgtp")
    factor = _SIZE_FACTORS.get(compact[len(digits) :])
    try:
        size = float(digits)
    except ValueError:
        size = -1.0
    if factor is None or not 0 <= size < 2**60:
        raise ValueError(f"{text!r} is not a size; write for example 500MB, 1GiB or 0")
    return int(size * factor)


def rows_as_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """A list of objects as one JSON array."""
    print_json(list(rows))
