"""How notebooks and terminals show a table: its first rows."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

from holdfast_contract.limits import MIB

SHOWN_ROWS = 10
SHOWN_COLUMNS = 20
_CELL_CHARS_MAX = 60
_THUMBNAILS_MAX = 2 * SHOWN_ROWS
_THUMBNAIL_SIDE_PIXELS = 64
_THUMBNAIL_FILE_BYTES_MAX = 8 * MIB
_DECODED_PIXELS_MAX = 64 << 20
"""Of all images of a table that is shown: less than a second."""
_THUMBNAILS_WITHIN_S = 3.0
"""Images that are not there then are shown as text: nobody waits for those of a registry that does not answer."""


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
    """Returns the first rows as HTML, whatever is in the cells escaped; small images are shown, larger ones as text.

    Args:
        columns: names.
        rows: at least the first `SHOWN_ROWS`.
        row_count: of the table.
    """
    names, cells = _shown(columns, rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    pages = [[html.escape(cell) for cell in line] for line in cells]
    for (row, column), url in _thumbnails(rows).items():
        pages[row][column] = f'<img src="{url}" alt="{pages[row][column]}" title="{pages[row][column]}">'
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in pages)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{_size(columns, row_count)}</p>"


def _thumbnails(rows: Sequence[Sequence[Any]]) -> dict[tuple[int, int], str]:
    """URLs with the pixels of images, by row and column."""
    images = sys.modules.get("holdfast.media.image")
    if images is None:  # so there are none
        return {}
    found: dict[tuple[int, int], str] = {}
    looked_at, room, until_s = 0, _DECODED_PIXELS_MAX, time.monotonic() + _THUMBNAILS_WITHIN_S
    # In the order of files, column by column, so that one request brings several.
    for column in range(min(map(len, rows), default=0))[:SHOWN_COLUMNS]:
        for row, cells in enumerate(rows[:SHOWN_ROWS]):
            cell = cells[column]
            if not isinstance(cell, images.Image):
                continue
            if looked_at == _THUMBNAILS_MAX or time.monotonic() > until_s:
                return found
            looked_at += 1
            png = cell.thumbnail(_THUMBNAIL_SIDE_PIXELS, _THUMBNAIL_FILE_BYTES_MAX, room)
            if png is not None:
                room -= (cell.width or 0) * (cell.height or 0)
                found[row, column] = images.png_url(png)
    return found
