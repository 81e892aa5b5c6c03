"""What searches through all states of a model have in common."""

from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S")


def way_to(state: S, came_from: Mapping[S, tuple[S, str] | None]) -> list[str]:
    """Returns the names of the steps that led to a state from the one that came from nowhere."""
    names: list[str] = []
    while (origin := came_from[state]) is not None:
        state, name = origin
        names.append(name)
    return names[::-1]
