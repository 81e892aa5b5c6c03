"""Leases, packs and the index of chunks; each method one transaction.

A chunk with a row that is not condemned is stored; every such row points into a LIVE pack.  A row gets there only after
the pack's bytes are on the disk and were checked; where a store vouches for the bytes, the check may follow (`unread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from holdfast_contract.failpoints import failpoint
from holdfast_contract.pack import PackIndex
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.database.chunks import PackedPlace, chunk_statements
from holdfast_registry.database.database import Database
from holdfast_registry.database.quotas import PROJECT_OF_LEASE, charge_packs, has_quota
from holdfast_registry.database.schema import entity, lease, pack, part
from holdfast_registry.database.statements import AnyRow, find_entity
from holdfast_registry.database.unread import UnreadPack, unread_beneath
from holdfast_registry.domain.leases import is_usable, lease_expired, needs_renewal, rest_s
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.domain.records import ChunkPlace, LeaseGrant, LeaseState, PackState
from holdfast_registry.errors import RegistryError

_LEASE = (
    select(
        lease.c.id, lease.c.entity_id, lease.c.state, lease.c.expires_at_ms, part.c.version_id.label("part_version_id")
    )
    .outerjoin(part, part.c.version_id == lease.c.version_id)
    .where(lease.c.id == bindparam("lease_id"))
)
_RENEW = (
    update(lease)
    .where(lease.c.id == bindparam("row_id"), lease.c.state == LeaseState.ACTIVE.value)
    .values(expires_at_ms=bindparam("until_ms"))
)
# Whoever ends the lease waits, or is waited for; see `locks`.
_LOCK_LEASE = _LEASE.with_for_update(key_share=True, of=lease)
_LOCK_CHARGED_LEASE = _LEASE.add_columns(
    PROJECT_OF_LEASE.label("project_id"), has_quota(lease.c.entity_id).label("has_quota")
).with_for_update(key_share=True, of=lease)
_PACK = select(pack).where(pack.c.pack_id == bindparam("wanted_id"))
_PACKS = select(pack).where(pack.c.pack_id.in_(bindparam("pack_ids", expanding=True)))
_INSERT_PACK = insert(pack)
_SEAL = (
    update(pack)
    .where(pack.c.id == bindparam("row_id"), pack.c.state == PackState.UPLOADING.value)
    .values(
        state=PackState.LIVE.value,
        live_chunks=bindparam("live"),
        sealed_at_ms=bindparam("now_ms"),
        unread_since_ms=bindparam("unread_since"),
    )
)
_DOOM = (
    update(pack)
    .where(pack.c.pack_id == bindparam("doomed_id"), pack.c.state == PackState.UPLOADING.value)
    .values(state=PackState.DOOMED.value, doomed_at_ms=bindparam("now_ms"))
)
_ENTITY_NAME = select(entity.c.name).where(entity.c.id == bindparam("row_id"))


@dataclass(frozen=True, slots=True)
class PackIntent:
    """A pack that somebody wants to bring."""

    pack_id: bytes
    size_bytes: int
    chunk_count: int
    sha256: bytes = b""
    """Of the whole pack, where the way that it takes needs it; not kept."""


@dataclass(frozen=True, slots=True)
class PackRecord:
    """A pack as the database knows it."""

    pack_id: bytes
    state: PackState
    size_bytes: int
    chunk_count: int
    live_chunks: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Which of the chunks that were asked for are not stored."""

    flags: list[bool]
    lease: LeaseGrant
    unread: tuple[UnreadPack, ...] = ()
    """Packs of other uploads that nobody has read back; chunks that only they have are missing until somebody does."""


@dataclass(frozen=True, slots=True)
class ActiveLease:
    """A lease under which work may go on."""

    lease_id: str
    entity_id: int
    expires_at_ms: int
    ttl_s: int
    """Of its whole time."""
    project_id: int | None = None
    """Where it was asked for: to which project the lease's packs count."""
    has_quota: bool = False
    """Where it was asked for: whether the entity has any quota."""


class PackRepository:
    """Leases, packs, chunks.  What blocks is for the file threads, which look things up in the middle of their work."""

    def __init__(self, database: Database, clock: Clock, *, lease_ttl_s: int, part_lease_ttl_s: int) -> None:
        self._database = database
        self._clock = clock
        self._lease_ttl_s = lease_ttl_s
        self._part_lease_ttl_s = part_lease_ttl_s

    async def renew(self, lease_id: str) -> LeaseGrant:
        """Lets a lease last its full time again.

        Raises:
            RegistryError: LEASE_EXPIRED.
        """

        def unit(connection: Connection) -> LeaseGrant:
            return self._renewed(connection, self._held(connection, lease_id))

        return await self._database.write(unit)

    async def find_missing(self, lease_id: str, digests: Sequence[bytes]) -> Missing:
        """Looks chunks up under a lease, and renews it.

        Raises:
            RegistryError: LEASE_EXPIRED.
        """
        unit = partial(self._find_missing, lease_id=lease_id, digests=digests)
        # The lease may end between the statements as well as after them; a pack that is sealed between them is unread, and seen.
        # What is given up between them is told to be there, as if it were given up afterwards: the commit says what is missing.
        active, present, unread = await self._database.read(unit, one_state=False)
        grant = await self._renew_when_due(active)
        return Missing([digest not in present for digest in digests], grant, unread)

    def _find_missing(
        self, connection: Connection, lease_id: str, digests: Sequence[bytes]
    ) -> tuple[ActiveLease, set[bytes], tuple[UnreadPack, ...]]:
        active = self._active(connection, lease_id)
        present = chunk_statements(connection).select_present(connection, active.entity_id, digests)
        beneath = unread_beneath(connection, active.entity_id, lease_id, list(present))
        return active, present.difference(*beneath.values()), tuple(beneath)

    async def _renew_when_due(self, active: ActiveLease) -> LeaseGrant:
        now_ms = self._clock.now_ms()
        if needs_renewal(active.expires_at_ms, now_ms, active.ttl_s):
            return await self.renew(active.lease_id)
        return LeaseGrant(active.lease_id, rest_s(active.expires_at_ms, now_ms))

    async def grant(self, lease_id: str, intents: Sequence[PackIntent]) -> list[PackRecord]:
        """Notes the packs that are going to be brought; in the order of the intents.

        Raises:
            RegistryError: LEASE_EXPIRED; PACK_ID_REUSED; QUOTA_EXCEEDED.
        """

        def unit(connection: Connection) -> list[PackRecord]:
            active = self._active(connection, lease_id, _LOCK_CHARGED_LEASE)
            self._renewed(connection, active)
            stored = _packs_by_id(connection, [intent.pack_id for intent in intents])
            new = [intent for intent in intents if intent.pack_id not in stored]
            now_ms = self._clock.now_ms()
            if new and active.has_quota:
                assert active.project_id is not None, "a lease is of a version, whose collection is in a project"
                wanted_bytes = sum(one.size_bytes for one in new)
                charge_packs(connection, active.entity_id, active.project_id, wanted_bytes, now_ms)
            if new:
                connection.execute(_INSERT_PACK, [_pack_values(intent, active, now_ms) for intent in new])
            return [_granted(stored.get(intent.pack_id), intent, lease_id) for intent in intents]

        granted = await self._database.write(unit)
        failpoint("grant.after_row")
        return granted

    def pack_of_lease(self, lease_id: str, pack_id: bytes) -> PackRecord:
        """Returns a pack that was granted under this lease.  Blocks.

        Raises:
            RegistryError: LEASE_EXPIRED, GRANT_INVALID.
        """

        def unit(connection: Connection) -> PackRecord:
            row = _find_pack(connection, pack_id)
            if row is not None and row.lease_id == lease_id and row.state == PackState.LIVE:
                return _pack_record(row)  # sealed before; that answer holds also when the lease has ended
            self._active(connection, lease_id)
            if row is None or row.lease_id != lease_id or row.state == PackState.DOOMED:
                raise _no_grant(pack_id)
            return _pack_record(row)

        return self._database.read_here(unit, one_state=False)

    async def seal(self, lease_id: str, index: PackIndex, *, unread: bool) -> tuple[int, LeaseGrant]:
        """Lets the chunks of a pack serve; returns how many do, and the lease.

        Args:
            lease_id: under which it was brought.
            index: the pack's.
            unread: its frames are not checked, so it serves this lease alone; see `unread`.

        Raises:
            RegistryError: LEASE_EXPIRED, GRANT_INVALID.
        """
        answer = await self._database.write(partial(self._seal, lease_id=lease_id, index=index, unread=unread))
        failpoint("seal.after_commit")
        return answer

    def _seal(self, connection: Connection, lease_id: str, index: PackIndex, *, unread: bool) -> tuple[int, LeaseGrant]:
        active = self._held(connection, lease_id)
        row = _find_pack(connection, index.pack_id)
        if row is None or row.lease_id != lease_id or row.state == PackState.DOOMED:
            raise _no_grant(index.pack_id)
        live = row.live_chunks
        if row.state == PackState.UPLOADING:
            statements, rows = chunk_statements(connection), _chunk_rows(active.entity_id, row.id, index)
            live = (statements.insert_unread if unread else statements.insert_absent)(connection, rows)
            now_ms = self._clock.now_ms()
            sealed = {"row_id": row.id, "live": live, "now_ms": now_ms, "unread_since": now_ms if unread else None}
            if not connection.execute(_SEAL, sealed).rowcount:
                raise _no_grant(index.pack_id)  # given up meanwhile; what was inserted is undone
        grant = self._renewed(connection, active)
        failpoint("seal.before_commit")
        return live, grant

    async def doom(self, pack_id: bytes) -> None:
        """Gives a pack up that turned out to be damaged; its id is never taken again."""

        def unit(connection: Connection) -> None:
            connection.execute(_DOOM, {"doomed_id": pack_id, "now_ms": self._clock.now_ms()})

        await self._database.write(unit)

    def places(self, entity_id: int, digests: Sequence[bytes]) -> list[ChunkPlace | None]:
        """Returns where chunks lie, in the order of the digests; None for one that is not stored.  Blocks."""
        if not digests:
            return []
        return self._database.read_here(partial(_places, entity_id=entity_id, digests=digests), one_state=False)

    def lengths(self, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Returns digest → length of the chunks that are stored; negative of those that are condemned.  Blocks."""
        return self._database.read_here(
            lambda connection: chunk_statements(connection).select_lengths(connection, entity_id, digests),
            one_state=False,
        )

    def lengths_and_unread(
        self, entity_id: int, digests: Sequence[bytes], lease_id: str
    ) -> tuple[dict[bytes, int], list[UnreadPack]]:
        """Returns what `lengths` does, and the unread packs of other uploads that some of the chunks lie in.  Blocks."""

        def unit(connection: Connection) -> tuple[dict[bytes, int], list[UnreadPack]]:
            stored = chunk_statements(connection).select_lengths(connection, entity_id, digests)
            return stored, list(unread_beneath(connection, entity_id, lease_id, list(stored)))

        return self._database.read_here(unit, one_state=False)

    def unread_beneath(self, entity_id: int, digests: Sequence[bytes]) -> list[UnreadPack]:
        """Returns the unread packs that some of the chunks lie in, whoever has brought them.  Blocks."""

        def unit(connection: Connection) -> list[UnreadPack]:
            return list(unread_beneath(connection, entity_id, "", digests))

        return self._database.read_here(unit, one_state=False)

    def entity_id(self, name: str) -> int | None:
        """Returns the row of an entity.  Blocks."""
        return self._database.read_here(partial(find_entity, name=name), one_state=False)

    def readable_packs(self, entity_name: str, pack_ids: Sequence[bytes]) -> dict[bytes, PackRecord]:
        """Returns those of the packs that can be read, by id; see `readable_pack`.  Blocks."""

        def unit(connection: Connection) -> dict[bytes, PackRecord]:
            entity_id = find_entity(connection, entity_name)
            rows = _packs_by_id(connection, pack_ids)
            readable = {key: row for key, row in rows.items() if _is_readable(row)}
            return {key: _pack_record(row) for key, row in readable.items() if row.entity_id == entity_id}

        return self._database.read_here(unit, one_state=False)

    def readable_pack(self, entity_name: str, pack_id: bytes) -> PackRecord | None:
        """Returns a sealed pack of an entity; one that is DOOMED can be read until its file goes.  Blocks."""

        def unit(connection: Connection) -> PackRecord | None:
            row = _find_pack(connection, pack_id)
            if row is None or not _is_readable(row):
                return None
            owner = connection.execute(_ENTITY_NAME, {"row_id": row.entity_id}).scalar()
            return _pack_record(row) if owner == entity_name else None

        return self._database.read_here(unit, one_state=False)

    def _held(self, connection: Connection, lease_id: str) -> ActiveLease:
        """As `_active`, and nobody ends it before this transaction does."""
        return self._active(connection, lease_id, _LOCK_LEASE)

    def _active(self, connection: Connection, lease_id: str, statement: Select[Any] = _LEASE) -> ActiveLease:
        row = connection.execute(statement, {"lease_id": lease_id}).first()
        if row is None or not is_usable(LeaseState(row.state), row.expires_at_ms, self._clock.now_ms()):
            raise lease_expired(lease_id)
        ttl_s = self._lease_ttl_s if row.part_version_id is None else self._part_lease_ttl_s
        if statement is not _LOCK_CHARGED_LEASE:
            return ActiveLease(row.id, row.entity_id, row.expires_at_ms, ttl_s)
        return ActiveLease(row.id, row.entity_id, row.expires_at_ms, ttl_s, row.project_id, bool(row.has_quota))

    def _renewed(self, connection: Connection, active: ActiveLease) -> LeaseGrant:
        now_ms = self._clock.now_ms()
        if needs_renewal(active.expires_at_ms, now_ms, active.ttl_s):
            until_ms = now_ms + active.ttl_s * 1000
            connection.execute(_RENEW, {"row_id": active.lease_id, "until_ms": until_ms})
            return LeaseGrant(active.lease_id, active.ttl_s)
        return LeaseGrant(active.lease_id, rest_s(active.expires_at_ms, now_ms))


def _find_pack(connection: Connection, pack_id: bytes) -> AnyRow | None:
    return connection.execute(_PACK, {"wanted_id": pack_id}).first()


def _is_readable(row: AnyRow) -> bool:
    return row.sealed_at_ms is not None and row.state != PackState.QUARANTINED


def _packs_by_id(connection: Connection, pack_ids: Sequence[bytes]) -> dict[bytes, AnyRow]:
    return {bytes(row.pack_id): row for row in connection.execute(_PACKS, {"pack_ids": list(pack_ids)})}


def _pack_values(intent: PackIntent, active: ActiveLease, now_ms: int) -> dict[str, object]:
    return {
        "pack_id": intent.pack_id,
        "entity_id": active.entity_id,
        "lease_id": active.lease_id,
        "project_id": active.project_id,
        "state": PackState.UPLOADING.value,
        "size_bytes": intent.size_bytes,
        "chunk_count": intent.chunk_count,
        "live_chunks": 0,
        "created_at_ms": now_ms,
    }


def _granted(row: AnyRow | None, intent: PackIntent, lease_id: str) -> PackRecord:
    if row is None:
        return PackRecord(intent.pack_id, PackState.UPLOADING, intent.size_bytes, intent.chunk_count, 0)
    same = (row.lease_id, row.size_bytes, row.chunk_count) == (lease_id, intent.size_bytes, intent.chunk_count)
    if not same or row.state == PackState.DOOMED:
        raise RegistryError(
            Reason.PACK_ID_REUSED,
            f"Pack id {intent.pack_id.hex()} belongs to another upload; bring these chunks under a new id.",
            {"pack": intent.pack_id.hex()},
        )
    return _pack_record(row)


def _pack_record(row: AnyRow) -> PackRecord:
    return PackRecord(bytes(row.pack_id), PackState(row.state), row.size_bytes, row.chunk_count, row.live_chunks)


def _no_grant(pack_id: bytes) -> RegistryError:
    return RegistryError(
        Reason.GRANT_INVALID,
        f"Pack {pack_id.hex()} was not granted under this lease, or was given up; ask for a grant first.",
        {"pack": pack_id.hex()},
    )


def _chunk_rows(entity_id: int, pack_row: int, index: PackIndex) -> list[tuple[int, bytes, int, int, int, int, int]]:
    count = len(index)
    return list(
        zip(
            [entity_id] * count,
            split_digests(bytes(index.digests)),
            [pack_row] * count,
            index.offsets(),
            index.stored_lengths,
            index.lengths,
            index.codecs,
            strict=True,
        )
    )


def _places(connection: Connection, entity_id: int, digests: Sequence[bytes]) -> list[ChunkPlace | None]:
    found = chunk_statements(connection).select_packed(connection, entity_id, digests)
    return [_place(found.get(digest)) for digest in digests]


def _place(row: PackedPlace | None) -> ChunkPlace | None:
    return None if row is None else ChunkPlace(*row[1:])
