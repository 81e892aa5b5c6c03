"""Who may do a piece of work that any of several registries could do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DutyState:
    """What the database says of a duty."""

    is_ours: bool
    """The asker had it last."""
    held_until_ms: int
    began_at_ms: int


def may_take(state: DutyState, now_ms: int, *, hold_ms: int, every_ms: int) -> bool:
    """Tells whether a registry may begin the work now.

    A time that lies further ahead than any hold or interval was written by a clock that was wrong, and does not count.
    """
    held_by_another = not state.is_ours and now_ms < state.held_until_ms <= now_ms + hold_ms
    is_due = not now_ms - every_ms < state.began_at_ms <= now_ms
    return is_due and not held_by_another
