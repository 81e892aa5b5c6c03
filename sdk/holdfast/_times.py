"""Moments as users see them."""

from __future__ import annotations

import datetime


def iso_time(milliseconds: int) -> str:
    """Returns a moment as ISO 8601 in UTC, to the second.

    Args:
        milliseconds: since 1970.
    """
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
