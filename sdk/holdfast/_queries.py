"""Filters and orders of lists, as users write them and as they travel; the registry judges the fields."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

Filter = Mapping[str, Any]

_ORDER = re.compile(r"([+-]?)([A-Za-z_]\w*)")
_CAPITAL = re.compile(r"(?<=[a-z0-9])[A-Z]")


def filter_json(filters: Filter | None) -> str:
    """Returns a filter as it travels; none is the empty text.

    Raises:
        ValueError: a value that JSON cannot say, or a number that is not finite.
        TypeError: no mapping.
    """
    if not filters:
        return ""
    if not isinstance(filters, Mapping):
        raise TypeError(f"A filter is a dict such as {{'name': 'mnist'}}, not {filters!r:.200}")
    return json.dumps(dict(filters), default=_plain, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """What users put into filters besides JSON: moments, and collections of values."""
    if isinstance(value, datetime.datetime):
        # A moment without a zone is the user's own clock.
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"A filter cannot hold {value!r:.200}; use texts, numbers, booleans, dates and lists")


def order_text(order: str | None) -> str:
    """Returns an order as it travels, "+field" or "-field"; none is the empty text.  `createdAt` is `created_at`.

    Raises:
        ValueError: the text is no order.
    """
    if not order:
        return ""
    match = _ORDER.fullmatch(order) if isinstance(order, str) else None
    if match is None:
        raise ValueError(f"order must be a field with '+' or '-' before it, such as '-created_at', not {order!r:.200}")
    sign, field = match.groups()
    return (sign or "+") + _CAPITAL.sub(lambda capital: "_" + capital.group().lower(), field)


def page_request(request: M, cursor: str | None) -> M:
    """Returns a list's request for the page at a cursor; the request itself may serve other threads meanwhile."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.page_token = cursor or ""  # type: ignore[attr-defined]  # every list's request has one
    return copy
