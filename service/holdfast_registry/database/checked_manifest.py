"""A manifest that was checked outside of the commit's transaction, and what is asked inside of it: whether the check still stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from holdfast_registry.database.schema import version
from holdfast_registry.domain.manifest import ManifestSummary
from holdfast_registry.domain.records import VersionState

_HOLDS = (
    select(version.c.id)
    .where(
        version.c.id == bindparam("held_by"),
        version.c.state.in_((VersionState.COMMITTED.value, VersionState.DELETED.value)),
        version.c.manifest_root.is_not(None),
    )
    .with_for_update(read=True)
)


@dataclass(frozen=True, slots=True)
class CheckedManifest:
    """A manifest whose rules hold and whose chunks were all found."""

    root_digest: bytes
    summary: ManifestSummary
    chunk_epoch: int
    """The entity's, read before the chunks were looked for: while it stands, they are all there."""
    condemned: Sequence[bytes] = ()
    """Chunks to be revived by the commit."""
    held_by: str = ""
    """A version whose chunks were not looked for, because it held them; empty: all were."""
    is_read: bool = False
    """None of its chunks lies only in a pack that nobody has read back, not in one of its own upload either."""


def stands(connection: Connection, manifest: CheckedManifest, chunk_epoch: int) -> bool:
    """Tells whether a manifest's chunks are stored as its check has found them.

    Args:
        connection: in a transaction in which the epoch stands still.
        manifest: that was checked.
        chunk_epoch: of the entity, as it is now.

    Those that were condemned may lie elsewhere by now, but in no pack that nobody has read: such a one takes only chunks that have
    no row.
    """
    return manifest.chunk_epoch == chunk_epoch and _is_held(connection, manifest)


def _is_held(connection: Connection, manifest: CheckedManifest) -> bool:
    """Tells whether the version that a manifest leans on still holds its chunks, and keeps it from being purged until the commit.

    A chunk may be condemned although a version names it (one that was committed between a mark and its sweep).  As long as
    that version is there the next mark revives the chunk; a manifest that leans on it must not be committed after its purge.
    """
    return not manifest.held_by or connection.execute(_HOLDS, {"held_by": manifest.held_by}).first() is not None
