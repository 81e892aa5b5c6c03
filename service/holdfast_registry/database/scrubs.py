"""What the scrub reads and changes: rounds and how far they are, packs in quarantine, lost chunks, and the versions that they hurt.

A lost chunk has no row in `chunk`, so everybody is told that it is missing, and whoever brings it again heals every version that
names it: what `lost_chunk` says of a chunk that has a row counts for nothing.  Order of locks as in `locks`: entity · chunk · pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.database.chunks import NewChunk, chunk_statements
from holdfast_registry.database.database import Database
from holdfast_registry.database.gc_sweep import Move, move_rows
from holdfast_registry.database.schema import (
    chunk,
    collection,
    entity,
    gc_state,
    hurt_version,
    lease,
    lost_chunk,
    pack,
    project,
    quarantine,
    scrub_round,
    version,
)
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.records import LeaseState, PackState, VersionState
from holdfast_registry.errors import RegistryError

DIGESTS_AT_ONCE = 1000
"""In one list of parameters."""
PACKS_AT_ONCE = 500
KEY_RANGES = 16
"""In which the rows of a damaged pack are looked for: no index leads from a pack to its chunks, so each reads a share of all rows."""

_LAST_ROUND = select(scrub_round).order_by(scrub_round.c.id.desc()).limit(1)
_NEXT_PACK = (
    select(pack.c.id, pack.c.pack_id, pack.c.entity_id, pack.c.size_bytes)
    .join(lease, lease.c.id == pack.c.lease_id)
    .where(
        pack.c.id > bindparam("after"),
        pack.c.state == PackState.LIVE.value,
        # Its writer may repeat the seal, and what was sealed a moment ago was checked a moment ago.
        lease.c.state != LeaseState.ACTIVE.value,
        # The verifier's.
        pack.c.unread_since_ms.is_(None),
    )
    .order_by(pack.c.id)
    .limit(1)
)
_HOLDING_PACKS = (
    select(pack.c.id, pack.c.pack_id, pack.c.entity_id, pack.c.size_bytes)
    .where(
        pack.c.entity_id == bindparam("entity_id"),
        pack.c.id > bindparam("after"),
        pack.c.sealed_at_ms.is_not(None),
        pack.c.removed_at_ms.is_(None),
    )
    .order_by(pack.c.id)
    .limit(PACKS_AT_ONCE)
)
_ROWS_IN_PACK = select(chunk.c.digest, chunk.c.offset, chunk.c.stored_length, chunk.c.length, chunk.c.codec).where(
    chunk.c.entity_id == bindparam("entity_id"),
    chunk.c.digest >= bindparam("first"),
    chunk.c.digest < bindparam("end"),
    chunk.c.pack == bindparam("pack_row"),
)
_SEAL = (
    update(pack)
    .where(pack.c.id == bindparam("row_id"), pack.c.state == PackState.UPLOADING.value)
    .values(state=PackState.LIVE.value, live_chunks=bindparam("live"), sealed_at_ms=bindparam("now_ms"))
)
_RAISE_EPOCH = update(entity).where(entity.c.id == bindparam("of_entity")).values(chunk_epoch=entity.c.chunk_epoch + 1)
_TAKE_ROWS = (
    delete(chunk)
    .where(
        chunk.c.entity_id == bindparam("of_entity"),
        chunk.c.digest.in_(bindparam("digests", expanding=True)),
        chunk.c.pack == bindparam("of_pack"),
    )
    .returning(chunk.c.digest)
)
_NOTE_LOST = text(
    "INSERT INTO lost_chunk (entity_id, digest, pack, found_at_ms, versions_known) "
    "VALUES (:entity_id, :digest, :pack, :now_ms, false) ON CONFLICT (entity_id, digest) "
    "DO UPDATE SET pack = excluded.pack, found_at_ms = excluded.found_at_ms, versions_known = excluded.versions_known"
)
_QUARANTINE = (
    update(pack)
    .where(pack.c.id == bindparam("row_id"), pack.c.state == PackState.LIVE.value)
    .values(state=PackState.QUARANTINED.value, unread_since_ms=None)
)
HAS_ROW = (
    select(chunk.c.digest)
    .where(chunk.c.entity_id == lost_chunk.c.entity_id, chunk.c.digest == lost_chunk.c.digest)
    .exists()
)
"""A lost chunk is stored again."""
_LOST = select(lost_chunk).where(~HAS_ROW).order_by(lost_chunk.c.entity_id, lost_chunk.c.digest)
# What lies in a pack that nobody has read back may be lost once more, and then it must be known still.
_HAS_READ_ROW = (
    select(chunk.c.digest)
    .join(pack, pack.c.id == chunk.c.pack)
    .where(
        chunk.c.entity_id == lost_chunk.c.entity_id,
        chunk.c.digest == lost_chunk.c.digest,
        pack.c.unread_since_ms.is_(None),
    )
    .exists()
)
_HEALED = select(lost_chunk.c.entity_id, lost_chunk.c.digest).where(_HAS_READ_ROW)
_OF_CHUNK = (lost_chunk.c.entity_id == bindparam("of_entity"), lost_chunk.c.digest == bindparam("of_digest"))
_FORGET_LOST = delete(lost_chunk).where(*_OF_CHUNK)
_KNOW_VERSIONS = update(lost_chunk).where(*_OF_CHUNK).values(versions_known=True)
_VERSIONS_OF_ENTITY = (
    select(version.c.id)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .where(project.c.entity_id == bindparam("of_entity"))
)
_FORGET_HURT = delete(hurt_version).where(
    hurt_version.c.digest == bindparam("of_digest"), hurt_version.c.version_id.in_(_VERSIONS_OF_ENTITY)
)
_NOTE_HURT = text(
    "INSERT INTO hurt_version (version_id, digest, path) VALUES (:version_id, :digest, :path) "
    "ON CONFLICT (version_id, digest) DO UPDATE SET path = excluded.path"
)
_MANIFESTS = (
    select(
        version.c.id,
        version.c.manifest_root,
        version.c.version_index,
        collection.c.name.label("collection"),
        project.c.name.label("project"),
        entity.c.name.label("entity"),
    )
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(
        project.c.entity_id == bindparam("entity_id"),
        version.c.state.in_((VersionState.COMMITTED.value, VersionState.DELETED.value)),
        version.c.manifest_root.is_not(None),
    )
    .order_by(version.c.collection_id, version.c.version_index)
)


@dataclass(slots=True)
class ScrubRound:
    """One reading of all packs."""

    row: int
    started_at_ms: int
    ended_at_ms: int | None = None
    after_pack: int = 0
    packs_checked: int = 0
    bytes_read: int = 0
    packs_damaged: int = 0


@dataclass(frozen=True, slots=True)
class ScrubbedPack:
    """A pack that is to be read."""

    row: int
    pack_id: bytes
    entity_id: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PlacedChunk:
    """A chunk's row, without its pack."""

    digest: bytes
    offset: int
    stored_length: int
    length: int
    codec: int


@dataclass(frozen=True, slots=True)
class LostChunk:
    """A chunk of which no sound copy was found."""

    entity_id: int
    digest: bytes
    pack_row: int
    """In which it was lost."""
    versions_known: bool


@dataclass(frozen=True, slots=True)
class NamedManifest:
    """A version that holds chunks."""

    version_id: str
    root: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Hurt:
    """One version that names a lost chunk, with one path that needs it."""

    version_id: str
    digest: bytes
    path: str


class ScrubRepository:
    """Reads beside the writer, and changes a few thousand rows at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # --- rounds -------------------------------------------------------------------------------------------------------

    async def last_round(self) -> ScrubRound | None:
        """Returns the round that goes on, or has ended last."""
        return await self._database.read(read_last_round)

    async def begin_round(self) -> ScrubRound:
        """Begins with the first pack."""
        now_ms = self._clock.now_ms()

        def unit(connection: Connection) -> ScrubRound:
            values = {"started_at_ms": now_ms, "after_pack": 0, "packs_checked": 0, "bytes_read": 0, "packs_damaged": 0}
            row = connection.execute(insert(scrub_round).returning(scrub_round.c.id), values).scalar_one()
            return ScrubRound(row, now_ms)

        return await self._database.write(unit)

    async def note(self, so_far: ScrubRound) -> None:
        """Keeps how far a round is; a crash repeats what was read since."""
        values = {
            "after_pack": so_far.after_pack,
            "packs_checked": so_far.packs_checked,
            "bytes_read": so_far.bytes_read,
            "packs_damaged": so_far.packs_damaged,
            "ended_at_ms": so_far.ended_at_ms,
        }
        statement = update(scrub_round).where(scrub_round.c.id == so_far.row).values(**values)
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def next_pack(self, after: int) -> ScrubbedPack | None:
        """Returns the next pack that serves, in the order of their rows; None: there are no more."""

        def unit(connection: Connection) -> ScrubbedPack | None:
            row = connection.execute(_NEXT_PACK, {"after": after}).first()
            return None if row is None else _scrubbed(row)

        return await self._database.read(unit)

    # --- damage -------------------------------------------------------------------------------------------------------

    async def rows_in(self, damaged: ScrubbedPack) -> list[PlacedChunk]:
        """Returns all chunks that are read from a pack."""
        bounds = [bytes([256 // KEY_RANGES * number]) for number in range(KEY_RANGES)] + [b"\xff" * 33]
        found: list[PlacedChunk] = []
        for first, end in pairwise(bounds):
            wanted = {"entity_id": damaged.entity_id, "pack_row": damaged.row, "first": first, "end": end}
            found += await self._database.read(partial(_placed, wanted=wanted))
        return found

    async def reserve(self, victim_row: int, pack_id: bytes, size_bytes: int, chunk_count: int) -> int:
        """Adds a pack that is going to be written, in the name of one whose chunks it gets; returns its row."""

        def unit(connection: Connection) -> int:
            victim = connection.execute(select(pack).where(pack.c.id == victim_row)).mappings().one()
            values = {
                **{name: victim[name] for name in ("entity_id", "lease_id", "project_id")},
                "pack_id": pack_id,
                "state": PackState.UPLOADING.value,
                "size_bytes": size_bytes,
                "chunk_count": chunk_count,
                "live_chunks": 0,
                "created_at_ms": self._clock.now_ms(),
            }
            return int(connection.execute(insert(pack).returning(pack.c.id), values).scalar_one())

        row = await self._database.write(unit)
        failpoint("scrub.after_reserve")
        return row

    async def serve(self, entity_id: int, new_row: int, moves: Sequence[Move], brought: Sequence[NewChunk]) -> int:
        """Lets chunks be read from a pack that was written for them and is durable; returns how many are.

        Args:
            entity_id: whose they are.
            new_row: the pack.
            moves: chunks that have a row; one that has gone elsewhere since is left alone.
            brought: chunks that were lost.

        Raises:
            RegistryError: UNAVAILABLE: the pack was given up meanwhile; nothing has changed.
        """

        def unit(connection: Connection) -> int:
            live = move_rows(connection, entity_id, new_row, moves) if moves else 0
            live += chunk_statements(connection).insert_absent(connection, brought)
            sealed = {"row_id": new_row, "live": live, "now_ms": self._clock.now_ms()}
            if not connection.execute(_SEAL, sealed).rowcount:
                raise RegistryError(
                    Reason.UNAVAILABLE, "A cycle of garbage collection has given the pack of a repair up; repeat it."
                )
            return live

        live = await self._database.write(unit)
        failpoint("scrub.after_serve")
        return live

    async def quarantine(self, damaged: ScrubbedPack, problem: str, moved: int, lost: Sequence[bytes]) -> list[bytes]:
        """Lets nothing be read from a pack any more; takes the rows of chunks away that are lost with it.

        Args:
            damaged: the pack.
            problem: what is wrong with it.
            moved: how many of its chunks are read from elsewhere now.
            lost: the other chunks.

        Returns:
            Those of `lost` that were still read from there.
        """
        unit = partial(self._quarantine, damaged=damaged, problem=problem, moved=moved, lost=lost)
        taken = await self._database.write(unit)
        failpoint("scrub.after_quarantine")
        return taken

    def _quarantine(
        self, connection: Connection, damaged: ScrubbedPack, problem: str, moved: int, lost: Sequence[bytes]
    ) -> list[bytes]:
        now_ms = self._clock.now_ms()
        taken = take_rows(connection, damaged, lost)
        if taken:
            lost_at = {"entity_id": damaged.entity_id, "pack": damaged.row, "now_ms": now_ms}
            connection.execute(_NOTE_LOST, [lost_at | {"digest": digest} for digest in taken])
        if connection.execute(_QUARANTINE, {"row_id": damaged.row}).rowcount:
            found = {"pack": damaged.row, "problem": problem, "found_at_ms": now_ms}
            connection.execute(insert(quarantine), found | {"chunks_moved": moved, "chunks_lost": len(taken)})
        failpoint("scrub.before_quarantine")
        return taken

    async def discard_quarantined(self) -> int:
        """Gives packs in quarantine up: garbage collection removes them; returns how many there were."""

        def unit(connection: Connection) -> int:
            age_ms = connection.execute(select(gc_state.c.age_ms)).scalar() or 0
            doomed = {"state": PackState.DOOMED.value, "doomed_at_ms": self._clock.now_ms(), "doomed_age_ms": age_ms}
            statement = update(pack).where(pack.c.state == PackState.QUARANTINED.value).values(**doomed)
            connection.execute(delete(quarantine))
            return int(connection.execute(statement).rowcount)

        return await self._database.write(unit)

    # --- lost chunks --------------------------------------------------------------------------------------------------

    async def lost(self) -> list[LostChunk]:
        """Returns the chunks that are lost still, those of one entity next to each other."""
        return await self._database.read(read_lost)

    async def holding_packs(self, entity_id: int, after: int) -> list[ScrubbedPack]:
        """Returns the next packs that a copy may lie in: whatever was sealed once and was not removed."""

        def unit(connection: Connection) -> list[ScrubbedPack]:
            rows = connection.execute(_HOLDING_PACKS, {"entity_id": entity_id, "after": after})
            return [_scrubbed(row) for row in rows]

        return await self._database.read(unit)

    async def forget_healed(self) -> int:
        """Forgets lost chunks that are stored again, with the versions that they hurt; returns how many there were."""

        def healed(connection: Connection) -> list[dict[str, object]]:
            return [{"of_entity": row.entity_id, "of_digest": bytes(row.digest)} for row in connection.execute(_HEALED)]

        def unit(connection: Connection) -> int:
            found = healed(connection)
            for one in found:
                connection.execute(_FORGET_HURT, one)
                connection.execute(_FORGET_LOST, one)
            return len(found)

        # Most looks find nothing, and need no writer for that.
        return await self._database.write(unit) if await self._database.read(healed) else 0

    async def manifests(self, entity_id: int) -> list[NamedManifest]:
        """Returns the versions of an entity that are committed, or can be restored."""

        def unit(connection: Connection) -> list[NamedManifest]:
            rows = connection.execute(_MANIFESTS, {"entity_id": entity_id})
            return [
                NamedManifest(
                    row.id,
                    bytes(row.manifest_root),
                    f"{row.entity}/{row.project}/{row.collection}:v{row.version_index}",
                )
                for row in rows
            ]

        return await self._database.read(unit)

    async def note_hurt(self, entity_id: int, digests: Iterable[bytes], hurts: Sequence[Hurt]) -> None:
        """Keeps which versions name these lost chunks."""

        def unit(connection: Connection) -> None:
            for digest in digests:
                connection.execute(_KNOW_VERSIONS, {"of_entity": entity_id, "of_digest": digest})
            if hurts:
                rows = [{"version_id": one.version_id, "digest": one.digest, "path": one.path} for one in hurts]
                connection.execute(_NOTE_HURT, rows)

        await self._database.write(unit)


def take_rows(connection: Connection, damaged: ScrubbedPack, digests: Sequence[bytes]) -> list[bytes]:
    """Takes away the rows of chunks that are read from a pack; returns those of the digests that still were."""
    # A commit that has looked for them before looks again.
    connection.execute(_RAISE_EPOCH, {"of_entity": damaged.entity_id})
    taken: list[bytes] = []
    for some in _batches(sorted(digests)):
        wanted = {"of_entity": damaged.entity_id, "digests": some, "of_pack": damaged.row}
        taken += map(bytes, connection.execute(_TAKE_ROWS, wanted).scalars())
    return taken


def read_last_round(connection: Connection) -> ScrubRound | None:
    """Returns the round that goes on, or has ended last."""
    row = connection.execute(_LAST_ROUND).first()
    return (
        None
        if row is None
        else ScrubRound(
            row.id,
            row.started_at_ms,
            row.ended_at_ms,
            row.after_pack,
            row.packs_checked,
            row.bytes_read,
            row.packs_damaged,
        )
    )


def read_lost(connection: Connection) -> list[LostChunk]:
    """Returns the chunks that are lost still."""
    return [
        LostChunk(row.entity_id, bytes(row.digest), row.pack, row.versions_known) for row in connection.execute(_LOST)
    ]


def _placed(connection: Connection, wanted: dict[str, object]) -> list[PlacedChunk]:
    rows = connection.execute(_ROWS_IN_PACK, wanted)
    return [PlacedChunk(bytes(row[0]), row[1], row[2], row[3], row[4]) for row in rows]


def _scrubbed(row: AnyRow) -> ScrubbedPack:
    return ScrubbedPack(row.id, bytes(row.pack_id), row.entity_id, row.size_bytes)


def _batches(digests: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [digests[first : first + DIGESTS_AT_ONCE] for first in range(0, len(digests), DIGESTS_AT_ONCE)]
