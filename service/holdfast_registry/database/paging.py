"""Pages of lists that stay right while things come and go: the next page begins after the last row that was shown.

A token holds the order, the last row's place in it, and what tells apart rows of one place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from holdfast_contract.limits import MIB
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.filters import canonical_name, invalid_filter
from holdfast_registry.errors import invalid

PAGE_BYTES_MAX = 3 * MIB
"""Texts and documents of one page: the page must fit a message of 4 MiB."""
ROW_BYTES = 2048
"""Bytes of a row beside its texts and documents, generously."""


@dataclass(frozen=True, slots=True)
class PageWish:
    """Which page, in which order."""

    size: int
    token: str
    order: str
    """A field's name with "+" or "-" before it; empty: the list's own."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """The rows of one page."""

    rows: list[AnyRow]
    next_token: str
    total_count: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of rows, before it is known which page of it is wanted."""

    statement: Select[Any]
    """Without an order."""
    orders: Mapping[str, ColumnElement[Any]]
    """By name; never NULL."""
    default_order: str
    tie: ColumnElement[Any]
    """Different for all rows."""
    row_bytes: ColumnElement[int]
    """What a row adds to a message, besides ROW_BYTES."""


def fetch_page(connection: Connection, listing: Listing, wish: PageWish) -> RowPage:
    """Returns one page, at most `wish.size` rows and a message full.

    Raises:
        RegistryError: INVALID_FILTER: no such order; INVALID_ARGUMENT: the token is not of this list.
    """
    name, descending = _order(wish.order or listing.default_order, listing.orders)
    place = listing.orders[name]
    total = connection.execute(select(func.count()).select_from(listing.statement.subquery())).scalar_one()
    statement = listing.statement.add_columns(
        place.label("page_place"), listing.tie.label("page_tie"), listing.row_bytes.label("page_row_bytes")
    )
    if wish.token:
        statement = statement.where(_after(place, listing.tie, _decode(wish.token, name, descending), descending))
    ordered = [column.desc() if descending else column.asc() for column in (place, listing.tie)]
    rows = connection.execute(statement.order_by(*ordered).limit(wish.size + 1)).all()
    shown = list(rows[: min(wish.size, _rows_that_fit(rows))])
    token = _encode(name, descending, shown[-1]) if shown and len(shown) < len(rows) else ""
    return RowPage(shown, token, total)


def count_rows(connection: Connection, listing: Listing) -> int:
    """Returns how long the list is."""
    return int(connection.execute(select(func.count()).select_from(listing.statement.subquery())).scalar_one())


def _order(text: str, orders: Mapping[str, object]) -> tuple[str, bool]:
    name = canonical_name(text.removeprefix("+").removeprefix("-"))
    if name not in orders:
        known = ", ".join(sorted(orders))
        raise invalid_filter(f'Order {text[:80]!r} is not known; known are {known}, with "+" or "-" before the name.')
    return name, text.startswith("-")


def _after(
    place: ColumnElement[Any], tie: ColumnElement[Any], last: Sequence[Any], descending: bool
) -> ColumnElement[bool]:
    if descending:
        return or_(place < last[0], and_(place == last[0], tie < last[1]))
    return or_(place > last[0], and_(place == last[0], tie > last[1]))


def _encode(name: str, descending: bool, row: AnyRow) -> str:
    token = json.dumps([name, descending, row.page_place, row.page_tie])
    return base64.urlsafe_b64encode(token.encode()).decode()


def _decode(token: str, name: str, descending: bool) -> list[Any]:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Page token {token[:40]!r} is not one that this registry gave.") from error
    plain = isinstance(decoded, list) and all(isinstance(part, str | int) for part in decoded)
    if not plain or decoded[:2] != [name, descending] or len(decoded) != 4:
        raise invalid(f"Page token {token[:40]!r} belongs to another list or order; begin again without one.")
    return [*decoded[2:]]


def _rows_that_fit(rows: Sequence[AnyRow]) -> int:
    """Returns how many of the rows fit a page; at least one."""
    page_bytes = 0
    for count, row in enumerate(rows):
        page_bytes += ROW_BYTES + row.page_row_bytes
        if page_bytes > PAGE_BYTES_MAX and count:
            return count
    return len(rows)
