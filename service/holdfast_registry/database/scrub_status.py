"""What the scrub has come to, for whoever looks: read from one snapshot, also beside a running registry."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from holdfast_registry.database.schema import (
    collection,
    entity,
    hurt_version,
    lost_chunk,
    pack,
    project,
    quarantine,
    version,
)
from holdfast_registry.database.scrubs import HAS_ROW, ScrubRound, read_last_round
from holdfast_registry.domain.records import VersionState


@dataclass(frozen=True, slots=True)
class QuarantinedPack:
    """A damaged pack."""

    pack_id: str
    problem: str
    found_at_ms: int
    chunks_moved: int
    chunks_lost: int


@dataclass(slots=True)
class HurtVersion:
    """A version that cannot be read in whole."""

    name: str
    is_deleted: bool
    """It can be restored still."""
    paths: list[str] = field(default_factory=list)
    """One for each lost chunk."""


@dataclass(frozen=True, slots=True)
class ScrubStatus:
    """All of it."""

    round: ScrubRound | None
    """The one that goes on, or has ended last."""
    quarantined: list[QuarantinedPack]
    lost_chunks: int
    lost_unnamed: int
    """Of them, those whose versions are being looked for."""
    hurt: list[HurtVersion]


_QUARANTINED = (
    select(
        pack.c.pack_id,
        quarantine.c.problem,
        quarantine.c.found_at_ms,
        quarantine.c.chunks_moved,
        quarantine.c.chunks_lost,
    )
    .join(pack, pack.c.id == quarantine.c.pack)
    .order_by(quarantine.c.pack)
)
_LOST = select(lost_chunk.c.versions_known).where(~HAS_ROW)
_HURT = (
    select(
        version.c.id,
        version.c.state,
        version.c.version_index,
        collection.c.name.label("collection"),
        project.c.name.label("project"),
        entity.c.name.label("entity"),
        hurt_version.c.path,
    )
    .join(version, version.c.id == hurt_version.c.version_id)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .join(
        lost_chunk,
        (lost_chunk.c.entity_id == project.c.entity_id) & (lost_chunk.c.digest == hurt_version.c.digest),
    )
    .where(
        ~HAS_ROW,
        version.c.state.in_((VersionState.COMMITTED.value, VersionState.DELETED.value)),
        version.c.manifest_root.is_not(None),
    )
    .order_by(version.c.collection_id, version.c.version_index, hurt_version.c.path)
)


def read_scrub_status(connection: Connection) -> ScrubStatus:
    """Reads everything; a version that was healed, or purged, is hurt no more."""
    known = [bool(found) for found in connection.execute(_LOST).scalars()]
    hurt: dict[str, HurtVersion] = {}
    for row in connection.execute(_HURT):
        name = f"{row.entity}/{row.project}/{row.collection}:v{row.version_index}"
        one = hurt.setdefault(row.id, HurtVersion(name, row.state == VersionState.DELETED.value))
        if row.path not in one.paths:
            one.paths.append(row.path)
    packs = [
        QuarantinedPack(bytes(row.pack_id).hex(), row.problem, row.found_at_ms, row.chunks_moved, row.chunks_lost)
        for row in connection.execute(_QUARANTINED)
    ]
    return ScrubStatus(read_last_round(connection), packs, len(known), known.count(False), list(hurt.values()))
