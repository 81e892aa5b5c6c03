"""Rules of packs that nobody has read back: whom they serve, and what becomes of one that turns out to be damaged.

Such a pack serves the upload that brought it.  A version that others may go by names chunks of packs that were read, and of unread
packs of its own upload; a chunk that is noted as lost stays noted until a pack that has it was read.
"""

from __future__ import annotations

from enum import Enum, auto

from holdfast_registry.domain.records import PackState, VersionState


class DamagedFate(Enum):
    """What is to be done about a pack that was read and is damaged."""

    GIVE_UP = auto()
    """Nobody goes by it but an upload that can bring its chunks again: they are missing from now on."""
    QUARANTINE = auto()
    """A version may name its chunks: what is sound is moved, what is lost is noted, as the scrub does it."""
    NOTHING = auto()
    """It serves nobody any more: another registry has dealt with it, or garbage collection has."""


def fate_of_damaged(state: PackState, *, unread: bool, version: VersionState | None) -> DamagedFate:
    """Decides, in the transaction that acts by it.

    Args:
        state: of the pack.
        unread: nobody has read it back; another registry that found it sound has let others go by it.
        version: state of the one that it was brought for; None: nobody knows.
    """
    if state is not PackState.LIVE:
        return DamagedFate.NOTHING
    if unread and version in (VersionState.PENDING, VersionState.FAILED):
        return DamagedFate.GIVE_UP
    return DamagedFate.QUARANTINE
