"""Rules of garbage collection: what a cycle may do to a chunk's row, a pack or a deleted version, and when.

A chunk's row is *present*, then *condemned* (still readable, "missing" for whoever asks), then *deleted*.  A commit that names it
revives it, and so does a pack that brings it again.  Time decides when something is tried; these rules, asked again in the
transaction, decide whether it may be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from holdfast_contract.pack import COLUMN_BYTES, PACK_HEADER_BYTES, TRAILER_BYTES
from holdfast_registry.domain.records import LeaseState, PackState, VersionState

AGE_STEP_MS_MAX = 24 * 3600 * 1000
"""What one look at the clock adds to the registry's age at most: a clock that jumps by a year shortens no delay by more than a day."""
ANNOUNCED_MAX = 4
"""Words for the store that are remembered although nobody has confirmed them: of collectors that were overtaken, or failed."""
LISTINGS_MIN = 2
"""In so many listings an object must have been without a row before it is removed."""
COMPACTION_LIVE_MAX = 0.5
"""A pack of which less than this is in use is rewritten: each byte is then moved once for one that comes back."""


class SweepStep(Enum):
    """What a cycle wants to do with one chunk's row."""

    KEEP = auto()
    CONDEMN = auto()
    REVIVE = auto()
    DELETE = auto()


def sweep_step(*, marked: bool, condemned_stamp: int | None, deletable_stamp: int, past_grace: bool) -> SweepStep:
    """Decides about a row.

    Args:
        marked: some version that is not purged names it, as this cycle's mark has seen them.
        condemned_stamp: of the cycle that condemned the row; None: it is present.
        deletable_stamp: see `deletable_stamp`.
        past_grace: its pack was sealed longer ago than the grace.
    """
    if condemned_stamp is None:
        return SweepStep.CONDEMN if past_grace and not marked else SweepStep.KEEP
    if marked:
        return SweepStep.REVIVE
    return SweepStep.DELETE if may_delete(condemned_stamp, deletable_stamp) else SweepStep.KEEP


def may_delete(condemned_stamp: int | None, deletable_stamp: int) -> bool:
    """Tells whether an unmarked row may be deleted; asked again in the transaction, where a commit may have revived it."""
    return condemned_stamp is not None and condemned_stamp <= deletable_stamp


def deletable_stamp(own_stamp: int, awaited_stamps: frozenset[int]) -> int:
    """Returns the highest stamp of rows that a cycle may delete, as known *before* it begins to mark.

    Args:
        own_stamp: of the cycle; stamps only rise, whatever the clock does.
        awaited_stamps: of earlier cycles for which a lease that was ACTIVE when they condemned is ACTIVE still.
    """
    return min((own_stamp, *awaited_stamps)) - 1


def next_stamp(now_ms: int, last_stamp: int) -> int:
    """Returns the stamp of a new cycle: the time, where the clock has not gone back."""
    return max(now_ms, last_stamp + 1)


def next_age(age_ms: int, seen_at_ms: int, now_ms: int) -> int:
    """Returns how old the registry is by its own count, which never goes back and never leaps."""
    return age_ms + min(max(now_ms - seen_at_ms, 0), AGE_STEP_MS_MAX)


def holds_chunks(state: VersionState, *, purged: bool) -> bool:
    """Tells whether a version's manifest is to be marked."""
    return not purged and state in (VersionState.COMMITTED, VersionState.PART, VersionState.DELETED)


def may_doom(state: PackState, lease: LeaseState, live_rows: int) -> bool:
    """Tells whether a pack has served; one whose writer is still at work stays, since the seal may be repeated."""
    return state is PackState.LIVE and lease is not LeaseState.ACTIVE and live_rows == 0


def frames_bytes(size_bytes: int, chunk_count: int) -> int:
    """Returns what of a pack is content: the rest comes along whatever is in use."""
    return size_bytes - PACK_HEADER_BYTES - TRAILER_BYTES - COLUMN_BYTES * chunk_count


def may_compact(
    state: PackState, lease: LeaseState, live_bytes: int, frames_bytes: int, *, unread: bool = False
) -> bool:
    """Tells whether a pack is worth rewriting; what nobody has read back is not moved into a pack that serves everybody."""
    return (
        state is PackState.LIVE
        and not unread
        and lease is not LeaseState.ACTIVE
        and 0 < live_bytes < COMPACTION_LIVE_MAX * frames_bytes
    )


def is_over(since_age_ms: int | None, age_ms: int, delay_ms: int) -> bool:
    """Tells whether a delay has passed, by the registry's own count; None: it has not begun."""
    return since_age_ms is not None and age_ms - since_age_ms >= delay_ms


def epochs_agree(stored: str, known: str, announced: str) -> bool:
    """Tells whether store and database are of one time, and nobody has put one of them back from a backup.

    Args:
        stored: what the store says.
        known: what the database says.
        announced: what collectors were about to write into the store and have not confirmed (see `announced_with`): they have ended,
            or stand still and may write it yet.
    """
    return stored == known or stored in announced.split()


def announced_with(announced: str, epoch: str) -> str:
    """Returns what is announced when a collector is about to write this word into the store."""
    return " ".join([epoch, *announced.split()][:ANNOUNCED_MAX])


def announced_without(announced: str, epoch: str) -> str:
    """Returns what is announced still when this word is in the store."""
    return " ".join(word for word in announced.split() if word != epoch)


@dataclass(frozen=True, slots=True)
class GcWish:
    """How a cycle is to go."""

    grace_ms: int
    """Rows of packs sealed since are not condemned."""
    undelete_ms: int
    """Deleted versions can be restored for so long."""
    removal_delay_ms: int
    """A doomed pack's object is kept for so long, for those who read by an old grant."""
    orphan_ms: int
    """An object without a row is kept for so long."""
    pause_s: float
    """Between two transactions that condemn or delete, so that commits come through."""
    compacts: bool = True
