"""What a cycle of garbage collection reads and changes of chunks and packs; each change a small transaction that can be repeated.

Order of locks: `gc_state` · `entity` · `chunk` (by digest) · `pack`.  Whatever condemns or deletes chunks raises their entity's
`chunk_epoch` first, so that a commit that has looked for them before looks again.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock
from holdfast_registry.database.chunks import PageRow, chunk_statements
from holdfast_registry.database.database import Database
from holdfast_registry.database.gc_cycles import Cycle, hold
from holdfast_registry.database.schema import chunk, entity, gc_orphan, lease, pack
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.gc import frames_bytes
from holdfast_registry.domain.records import LeaseState, PackState

PAGE_ROWS = 20_000
"""Rows of `chunk` looked at together; read beside the writer."""
DIGESTS_AT_ONCE = 1000
"""In one list of parameters."""
PACKS_AT_ONCE = 500
"""Packs of one transaction, or of one look."""

_PACKS = (
    select(
        pack.c.id,
        pack.c.pack_id,
        pack.c.size_bytes,
        pack.c.chunk_count,
        pack.c.sealed_at_ms,
        pack.c.unread_since_ms,
        lease.c.state.label("lease_state"),
    )
    .join(lease, lease.c.id == pack.c.lease_id)
    .where(
        pack.c.entity_id == bindparam("entity_id"), pack.c.state == PackState.LIVE.value, pack.c.id > bindparam("after")
    )
    .order_by(pack.c.id)
    .limit(PAGE_ROWS)
)
_RAISE_EPOCH = update(entity).where(entity.c.id == bindparam("of_entity")).values(chunk_epoch=entity.c.chunk_epoch + 1)
_WANTED = (chunk.c.entity_id == bindparam("of_entity"), chunk.c.digest.in_(bindparam("digests", expanding=True)))
_CONDEMN = update(chunk).where(*_WANTED, chunk.c.condemned_at_ms.is_(None)).values(condemned_at_ms=bindparam("stamp"))
_REVIVE = update(chunk).where(*_WANTED).values(condemned_at_ms=None)
# A commit or a seal that came between the mark and this has revived the row: it has no stamp then.
_DELETE = (
    delete(chunk).where(*_WANTED, chunk.c.condemned_at_ms <= bindparam("deletable_stamp")).returning(chunk.c.digest)
)
_ENDED_LEASES = select(lease.c.id).where(lease.c.state != LeaseState.ACTIVE.value)
_DOOM = (
    update(pack)
    .where(
        pack.c.id.in_(bindparam("rows", expanding=True)),
        pack.c.state == PackState.LIVE.value,
        pack.c.lease_id.in_(_ENDED_LEASES),
    )
    .values(
        state=PackState.DOOMED.value,
        doomed_at_ms=bindparam("now_ms"),
        doomed_age_ms=bindparam("age_ms"),
        unread_since_ms=None,
    )
)
_REMOVABLE = (
    select(pack.c.id, pack.c.pack_id, pack.c.size_bytes, pack.c.sealed_at_ms)
    .where(
        pack.c.state == PackState.DOOMED.value,
        pack.c.removed_at_ms.is_(None),
        pack.c.sealed_at_ms.is_(None) | (pack.c.doomed_age_ms <= bindparam("up_to_age_ms")),
    )
    .order_by(pack.c.id)
    .limit(PACKS_AT_ONCE)
)
_REMOVED = (
    update(pack).where(pack.c.id.in_(bindparam("rows", expanding=True))).values(removed_at_ms=bindparam("now_ms"))
)
_INSERT_PACK = insert(pack).returning(pack.c.id)
_MOVE = (
    update(chunk)
    .where(
        chunk.c.entity_id == bindparam("of_entity"),
        chunk.c.digest == bindparam("of_digest"),
        chunk.c.pack == bindparam("old_pack"),
        chunk.c.offset == bindparam("old_offset"),
    )
    .values(pack=bindparam("new_pack"), offset=bindparam("new_offset"))
)
_SEAL = (
    update(pack)
    .where(pack.c.id == bindparam("row_id"), pack.c.state == PackState.UPLOADING.value)
    .values(state=PackState.LIVE.value, live_chunks=bindparam("live"), sealed_at_ms=bindparam("now_ms"))
)
_LOCK_PACKS = select(pack.c.id).where(pack.c.id.in_(bindparam("rows", expanding=True))).with_for_update()
_KNOWN_PACKS = select(pack.c.pack_id).where(
    pack.c.pack_id.in_(bindparam("pack_ids", expanding=True)), pack.c.removed_at_ms.is_(None)
)
_SEE_ORPHAN = text(
    "INSERT INTO gc_orphan (pack_id, seen_age_ms, listings) VALUES (:pack_id, :age_ms, 1) "
    "ON CONFLICT (pack_id) DO UPDATE SET listings = gc_orphan.listings + 1"
)
_ORPHANS = select(gc_orphan.c.pack_id)
_DUE_ORPHANS = (
    select(gc_orphan.c.pack_id)
    .where(gc_orphan.c.seen_age_ms <= bindparam("up_to_age_ms"), gc_orphan.c.listings >= bindparam("listings_min"))
    .limit(PACKS_AT_ONCE)
)
_FORGET_ORPHANS = delete(gc_orphan).where(gc_orphan.c.pack_id.in_(bindparam("pack_ids", expanding=True)))


@dataclass(slots=True)
class LivePacks:
    """All LIVE packs of an entity before its chunks are looked at, as columns: there may be a million."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    frames_bytes: array[int] = field(default_factory=lambda: array("q"))
    sealed_at_ms: array[int] = field(default_factory=lambda: array("q"))
    leases: bytearray = field(default_factory=bytearray)
    """State of the lease under which each was brought."""
    pack_ids: bytearray = field(default_factory=bytearray)
    unread: set[int] = field(default_factory=set)
    """Rows of those that nobody has read back."""

    def pack_id(self, position: int) -> bytes:
        """Returns one pack's id."""
        return bytes(self.pack_ids[16 * position : 16 * position + 16])


@dataclass(frozen=True, slots=True)
class RemovablePack:
    """A pack that no row is read from any more."""

    row: int
    pack_id: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction is to do to rows of `chunk`."""

    condemn: Sequence[bytes] = ()
    revive: Sequence[bytes] = ()
    delete: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What it has done."""

    condemned: int
    revived: int
    deleted: list[bytes]


@dataclass(frozen=True, slots=True)
class Move:
    """A chunk that was copied into another pack."""

    digest: bytes
    old_pack: int
    old_offset: int
    new_offset: int


class GcSweepRepository:
    """Reads pages, and changes a few thousand rows at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def live_packs(self, entity_id: int) -> LivePacks:
        """Returns the LIVE packs; one that is sealed later is none of this sweep's business."""
        packs, after = LivePacks(), 0
        while rows := await self._database.read(partial(_some_packs, entity_id=entity_id, after=after)):
            for row in rows:
                packs.rows.append(row.id)
                packs.frames_bytes.append(frames_bytes(row.size_bytes, row.chunk_count))
                packs.sealed_at_ms.append(row.sealed_at_ms)
                packs.leases.append(row.lease_state)
                packs.pack_ids += row.pack_id
                if row.unread_since_ms is not None:
                    packs.unread.add(row.id)
            after = packs.rows[-1]
        return packs

    async def page(self, entity_id: int, after: bytes) -> list[PageRow]:
        """Returns the next rows by digest; none: that was the end."""

        def unit(connection: Connection) -> list[PageRow]:
            return chunk_statements(connection).select_page(connection, entity_id, after, PAGE_ROWS)

        return await self._database.read(unit)

    async def change(self, cycle: Cycle, entity_id: int, changes: Changes) -> Changed:
        """Condemns, revives and deletes what may be, as of now.

        Raises:
            CycleLostError: nothing was done.
        """
        changed = await self._database.write(partial(self._change, cycle=cycle, entity_id=entity_id, changes=changes))
        failpoint("gc.after_change")
        return changed

    def _change(self, connection: Connection, cycle: Cycle, entity_id: int, changes: Changes) -> Changed:
        hold(connection, cycle)
        if changes.condemn or changes.delete:
            connection.execute(_RAISE_EPOCH, {"of_entity": entity_id})
        of = {"of_entity": entity_id}
        condemned = revived = 0
        deleted: list[bytes] = []
        for digests in _batches(changes.revive):
            revived += connection.execute(_REVIVE, of | {"digests": digests}).rowcount
        for digests in _batches(changes.condemn):
            condemned += connection.execute(_CONDEMN, of | {"digests": digests, "stamp": cycle.stamp}).rowcount
        for digests in _batches(changes.delete):
            deletable = {"digests": digests, "deletable_stamp": cycle.deletable_stamp}
            deleted += map(bytes, connection.execute(_DELETE, of | deletable).scalars())
        failpoint("gc.before_change")
        return Changed(condemned, revived, deleted)

    async def doom(self, cycle: Cycle, pack_rows: Sequence[int]) -> int:
        """Dooms packs from which no row is read: a pack gets rows when it is sealed, or made by a compaction, and never later."""

        def unit(connection: Connection) -> int:
            now_ms = self._clock.now_ms()
            hold(connection, cycle)
            doomed = {"rows": list(pack_rows), "now_ms": now_ms, "age_ms": cycle.age_ms}
            return int(connection.execute(_DOOM, doomed).rowcount)

        doomed = await self._database.write(unit)
        failpoint("gc.after_doom")
        return doomed

    async def removable(self, cycle: Cycle, delay_ms: int) -> list[RemovablePack]:
        """Returns some doomed packs whose objects can go: those that never served, and those doomed long enough ago."""

        def unit(connection: Connection) -> list[RemovablePack]:
            rows = connection.execute(_REMOVABLE, {"up_to_age_ms": cycle.age_ms - delay_ms})
            # What never served has filled nothing that anybody counted.
            return [
                RemovablePack(row.id, bytes(row.pack_id), row.size_bytes if row.sealed_at_ms else 0) for row in rows
            ]

        return await self._database.read(unit)

    async def removed(self, cycle: Cycle, pack_rows: Sequence[int]) -> None:
        """Notes that objects are gone; the rows stay, so that their ids are never taken again."""

        def unit(connection: Connection) -> None:
            now_ms = self._clock.now_ms()
            hold(connection, cycle)
            connection.execute(_REMOVED, {"rows": list(pack_rows), "now_ms": now_ms})

        await self._database.write(unit)

    # --- compaction ---------------------------------------------------------------------------------------------------

    async def reserve(self, cycle: Cycle, victim_row: int, pack_id: bytes, size_bytes: int, chunk_count: int) -> int:
        """Adds a pack that is going to be written, in the name of one that it replaces; returns its row."""

        def unit(connection: Connection) -> int:
            now_ms = self._clock.now_ms()
            hold(connection, cycle)
            victim = connection.execute(select(pack).where(pack.c.id == victim_row)).one()
            values = {
                "pack_id": pack_id,
                "entity_id": victim.entity_id,
                "lease_id": victim.lease_id,
                "project_id": victim.project_id,
                "state": PackState.UPLOADING.value,
                "size_bytes": size_bytes,
                "chunk_count": chunk_count,
                "live_chunks": 0,
                "created_at_ms": now_ms,
            }
            return int(connection.execute(_INSERT_PACK, values).scalar_one())

        row = await self._database.write(unit)
        failpoint("gc.after_reserve")
        return row

    async def move(
        self, cycle: Cycle, entity_id: int, new_row: int, moves: Sequence[Move], victims: dict[int, Collection[bytes]]
    ) -> int:
        """Lets chunks be read from the pack that they were copied into, and dooms the old packs, in one transaction.

        Args:
            cycle: that does it.
            entity_id: whose chunks they are.
            new_row: the pack, written and durable.
            moves: what lies in it; a row that has gone elsewhere since is left alone.
            victims: row of each old pack → all digests that it has.

        Returns:
            How many old packs are doomed; one that a row still points into stays.
        """
        unit = partial(self._move, cycle=cycle, entity_id=entity_id, new_row=new_row, moves=moves, victims=victims)
        doomed = await self._database.write(unit)
        failpoint("gc.after_move")
        return doomed

    def _move(
        self,
        connection: Connection,
        cycle: Cycle,
        entity_id: int,
        new_row: int,
        moves: Sequence[Move],
        victims: dict[int, Collection[bytes]],
    ) -> int:
        now_ms = self._clock.now_ms()
        hold(connection, cycle)
        moved = move_rows(connection, entity_id, new_row, moves)
        connection.execute(_LOCK_PACKS, {"rows": [new_row, *victims]})
        connection.execute(_SEAL, {"row_id": new_row, "live": moved, "now_ms": now_ms})
        empty = []
        for victim, digests in victims.items():
            places = chunk_statements(connection).select_places(connection, entity_id, list(digests))
            if all(place[1] != victim for place in places.values()):
                empty.append(victim)
        failpoint("gc.before_move")
        doomed = {"rows": empty, "now_ms": now_ms, "age_ms": cycle.age_ms}
        return int(connection.execute(_DOOM, doomed).rowcount) if empty else 0

    # --- orphans ------------------------------------------------------------------------------------------------------

    async def rowless(self, pack_ids: Sequence[bytes]) -> list[bytes]:
        """Returns those packs of the store that no row names, or whose row says that they were removed."""

        def unit(connection: Connection) -> list[bytes]:
            known = {bytes(found) for found in connection.execute(_KNOWN_PACKS, {"pack_ids": list(pack_ids)}).scalars()}
            return [pack_id for pack_id in pack_ids if pack_id not in known]

        return await self._database.read(unit)

    async def note_orphans(self, cycle: Cycle, seen: Sequence[bytes]) -> None:
        """Counts one listing for each of these, and forgets those that it did not have."""

        def unit(connection: Connection) -> None:
            hold(connection, cycle)
            gone = {bytes(found) for found in connection.execute(_ORPHANS).scalars()} - set(seen)
            for pack_ids in _batches(sorted(gone)):
                connection.execute(_FORGET_ORPHANS, {"pack_ids": pack_ids})
            if seen:
                connection.execute(_SEE_ORPHAN, [{"pack_id": one, "age_ms": cycle.age_ms} for one in seen])

        await self._database.write(unit)

    async def due_orphans(self, cycle: Cycle, orphan_ms: int, listings_min: int) -> list[bytes]:
        """Returns some objects that have been without a row for long enough; looked for again as they are asked for."""
        up_to = {"up_to_age_ms": cycle.age_ms - orphan_ms, "listings_min": listings_min}

        def unit(connection: Connection) -> list[bytes]:
            return [bytes(found) for found in connection.execute(_DUE_ORPHANS, up_to).scalars()]

        return await self.rowless(await self._database.read(unit))

    async def forget_orphans(self, cycle: Cycle, pack_ids: Sequence[bytes]) -> None:
        """Forgets orphans that are gone."""

        def unit(connection: Connection) -> None:
            hold(connection, cycle)
            connection.execute(_FORGET_ORPHANS, {"pack_ids": list(pack_ids)})

        await self._database.write(unit)


def move_rows(connection: Connection, entity_id: int, new_row: int, moves: Sequence[Move]) -> int:
    """Lets chunks be read from another pack, locked in the order in which everybody locks them; returns how many were.

    A row that has gone elsewhere since it was looked up is left alone.
    """
    ordered = sorted(moves, key=lambda move: move.digest)
    moved = connection.execute(_MOVE, [_move_values(entity_id, new_row, move) for move in ordered]).rowcount
    # PostgreSQL's driver does not count the rows of many executions; the figure is only shown.
    return len(ordered) if moved < 0 else moved


def _move_values(entity_id: int, new_row: int, move: Move) -> dict[str, object]:
    return {
        "of_entity": entity_id,
        "of_digest": move.digest,
        "old_pack": move.old_pack,
        "old_offset": move.old_offset,
        "new_pack": new_row,
        "new_offset": move.new_offset,
    }


def _some_packs(connection: Connection, entity_id: int, after: int) -> Sequence[AnyRow]:
    return connection.execute(_PACKS, {"entity_id": entity_id, "after": after}).all()


def _batches(digests: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [digests[first : first + DIGESTS_AT_ONCE] for first in range(0, len(digests), DIGESTS_AT_ONCE)]
