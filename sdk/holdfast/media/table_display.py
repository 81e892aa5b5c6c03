"""How notebooks and terminals show a table: its first rows."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

SHOWN_ROWS = 10
SHOWN_COLUMNS = 20
_CELL_CHARS_MAX = 60


def _text_of(cell: Any) -> str:
    text = cell if isinstance(cell, str) else _plain_text_of(cell)
    text = " ".join(text[: _CELL_CHARS_MAX + 1].split())
    return f"{text[:_CELL_CHARS_MAX]}…" if len(text) > _CELL_CHARS_MAX else text


def _plain_text_of(cell: Any) -> str:
    """As people write it: `repr` of a time fills the column with names of classes, that of numpy's numbers names numpy."""
    if isinstance(cell, date):
        return str(cell)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(cell, numpy.generic):
        return str(cell)
    return repr(cell)


def _shown(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[list[str]]]:
    names = [_text_of(name) for name in columns[:SHOWN_COLUMNS]]
    cells = [[_text_of(cell) for cell in row[:SHOWN_COLUMNS]] for row in rows[:SHOWN_ROWS]]
    if len(columns) > SHOWN_COLUMNS:
        names.append("…")
        for line in cells:
            line.append("…")
    return names, cells


def _size(columns: Sequence[Any], row_count: int) -> str:
    return f"{row_count:,} rows × {len(columns):,} columns"


def as_text(columns: Sequence[Any], rows: Sequence[Sequence[Any]], row_count: int) -> str:
    """Returns the first rows as text in columns.

    Args:
        columns: names.
        rows: at least the first `SHOWN_ROWS`.
        row_count: of the table.
    """
    names, cells = _shown(columns, rows)
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [names, *cells]
    ]
    return "\n".join([f"Table: {_size(columns, row_count)}", *lines, *(["…"] if row_count > len(cells) else [])])


def as_html(columns: Sequence[Any], rows: Sequence[Sequence[Any]], row_count: int) -> str:
    """Returns the first rows as HTML, whatever is in the cells escaped.

    Args:
        columns: names.
        rows: at least the first `SHOWN_ROWS`.
        row_count: of the table.
    """
    names, cells = _shown(columns, rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{_size(columns, row_count)}</p>"
