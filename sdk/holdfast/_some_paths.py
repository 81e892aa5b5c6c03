"""How a message names paths of which there may be many."""

from __future__ import annotations

from collections.abc import Sequence

NAMED_MAX = 5
"""Enough to see what they have in common, few enough for one line."""


def some_of(paths: Sequence[str]) -> str:
    """Returns the first of the paths and how many more there are."""
    rest = len(paths) - NAMED_MAX
    return ", ".join(paths[:NAMED_MAX]) + (f" and {rest:,} more" if rest > 0 else "")
