"""Who may do a piece of work that any of several registries could do."""

from __future__ import annotations

from dataclasses import dataclass

HOLD_MS = 45_000
"""Of a duty and of a cycle of garbage collection: so long after its last renewal another registry may take it over.  Enough for a
database that restarts, and for a process that is stopped for half a minute; a longer pause costs work that is done twice."""


@dataclass(frozen=True, slots=True)
class DutyState:
    """What the database says of a duty."""

    is_ours: bool
    """The asker had it last."""
    held_until_ms: int
    began_at_ms: int


def is_held(held_until_ms: int, now_ms: int, hold_ms: int) -> bool:
    """Tells whether a hold lasts; one that lies further ahead than any hold was written by a clock that was wrong."""
    return now_ms < held_until_ms <= now_ms + hold_ms


def may_take(state: DutyState, now_ms: int, *, hold_ms: int, every_ms: int) -> bool:
    """Tells whether a registry may begin the work now.

    A beginning that lies ahead was written by a clock that was wrong, and does not count.
    """
    is_due = not now_ms - every_ms < state.began_at_ms <= now_ms
    return is_due and (state.is_ours or not is_held(state.held_until_ms, now_ms, hold_ms))
