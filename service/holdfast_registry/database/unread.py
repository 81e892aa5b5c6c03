"""Packs that an S3 server has taken and nobody has read back: they serve the upload that brought them, and nobody else.

`unread_since_ms` says so of a LIVE pack.  A committed version leans on unread packs of its own upload only: who would lean on
another's has it read first.  A row comes into such a pack only where there was none, when the pack is sealed.  A pack that is
found damaged before its version is committed loses its rows and is DOOMED, and the commit says what is missing; later the scrub's
rules hold.  Whoever notes that a pack is read or damaged holds its lease, as a commit does.  Order of locks as in `locks`: lease ·
entity · chunk · pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, bindparam, func, or_, select, update

from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock
from holdfast_registry.database.chunks import chunk_statements
from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import gc_state, lease, pack, version
from holdfast_registry.database.scrubs import ScrubbedPack, take_rows
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.records import LeaseState, PackState, VersionState
from holdfast_registry.domain.unread import DamagedFate, fate_of_damaged

_UNREAD = (
    select(pack.c.id, pack.c.pack_id, pack.c.entity_id, pack.c.size_bytes, lease.c.version_id)
    .outerjoin(lease, lease.c.id == pack.c.lease_id)
    .where(pack.c.unread_since_ms.is_not(None))
    .order_by(pack.c.id)
)
_OF_OTHERS = _UNREAD.where(pack.c.entity_id == bindparam("entity_id"), pack.c.lease_id != bindparam("own_lease"))
_OF_VERSION = _UNREAD.where(pack.c.entity_id == bindparam("entity_id"), lease.c.version_id == bindparam("version_id"))
# While an upload goes on its packs are left to it, and the line and the processors, too; only not for ever.
_DUE = _UNREAD.where(
    pack.c.id > bindparam("after"),
    or_(
        lease.c.id.is_(None),
        lease.c.state != LeaseState.ACTIVE.value,
        pack.c.unread_since_ms <= bindparam("patience_ends_ms"),
    ),
).limit(bindparam("count"))
_BACKLOG = select(func.count(), func.min(pack.c.unread_since_ms)).where(pack.c.unread_since_ms.is_not(None))
_NOTE_READ = update(pack).where(pack.c.id == bindparam("row_id")).values(unread_since_ms=None)
_LOCK_LEASE = (
    select(lease.c.id)
    .join(pack, pack.c.lease_id == lease.c.id)
    .where(pack.c.id == bindparam("row_id"))
    .with_for_update(key_share=True, of=lease)
)
_STATES = (
    select(pack.c.state, pack.c.unread_since_ms, version.c.state.label("version_state"))
    .outerjoin(lease, lease.c.id == pack.c.lease_id)
    .outerjoin(version, version.c.id == lease.c.version_id)
    .where(pack.c.id == bindparam("row_id"))
)
_DOOM = (
    update(pack)
    .where(pack.c.id == bindparam("row_id"), pack.c.state == PackState.LIVE.value)
    .values(
        state=PackState.DOOMED.value,
        doomed_at_ms=bindparam("now_ms"),
        doomed_age_ms=bindparam("age_ms"),
        unread_since_ms=None,
    )
)


@dataclass(frozen=True, slots=True)
class UnreadPack(ScrubbedPack):
    """A pack that is to be read."""

    version_id: str
    """That it was brought for; empty: nobody knows."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many packs are unread, and since when the oldest of them is."""

    packs: int
    oldest_ms: int | None


def unread_of_version(connection: Connection, entity_id: int, version_id: str) -> tuple[UnreadPack, ...]:
    """Returns the unread packs that were brought for a version."""
    rows = connection.execute(_OF_VERSION, {"entity_id": entity_id, "version_id": version_id})
    return tuple(_unread(row) for row in rows)


def unread_of_others(connection: Connection, entity_id: int, lease_id: str) -> dict[int, UnreadPack]:
    """Returns the unread packs of an entity that other uploads have brought, by their rows."""
    rows = connection.execute(_OF_OTHERS, {"entity_id": entity_id, "own_lease": lease_id})
    return {row.id: _unread(row) for row in rows}


def unread_beneath(
    connection: Connection, entity_id: int, lease_id: str, digests: Sequence[bytes]
) -> dict[UnreadPack, list[bytes]]:
    """Returns the unread packs of other uploads that some of these chunks lie in, each with those chunks.

    Of chunks that were looked up *before*, in another statement: one that is sealed in between is found here.
    """
    unread = unread_of_others(connection, entity_id, lease_id) if digests else {}
    beneath: dict[UnreadPack, list[bytes]] = {}
    if unread:
        found = chunk_statements(connection).select_in_packs(connection, entity_id, digests, list(unread))
        for digest, row in found:
            beneath.setdefault(unread[row], []).append(digest)
    return beneath


class UnreadRepository:
    """What the verifier asks and notes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def backlog(self) -> Backlog:
        """Returns how much is to be read."""
        return await self._database.read(lambda connection: Backlog(*connection.execute(_BACKLOG).one()))

    async def due(self, patience_s: float, count: int, after: int = 0) -> list[UnreadPack]:
        """Returns the next unread packs in the order of rows: of uploads that have ended, and of others after so long."""
        patience_ends_ms = self._clock.now_ms() - round(patience_s * 1000)
        wanted = {"patience_ends_ms": patience_ends_ms, "count": count, "after": after}
        return await self._database.read(
            lambda connection: [_unread(row) for row in connection.execute(_DUE, wanted)], one_state=False
        )

    async def note_read(self, row: int) -> None:
        """Lets a pack serve everybody."""

        def unit(connection: Connection) -> None:
            connection.execute(_LOCK_LEASE, {"row_id": row})
            connection.execute(_NOTE_READ, {"row_id": row})

        await self._database.write(unit)
        failpoint("verifier.after_note")

    async def give_up(self, damaged: UnreadPack, digests: Sequence[bytes]) -> DamagedFate:
        """Takes a damaged pack away, if that is its fate; returns what is.

        Args:
            damaged: the pack.
            digests: of the chunks that are read from there.
        """
        fate = await self._database.write(partial(self._give_up, damaged=damaged, digests=digests))
        failpoint("verifier.after_give_up")
        return fate

    def _give_up(self, connection: Connection, damaged: UnreadPack, digests: Sequence[bytes]) -> DamagedFate:
        connection.execute(_LOCK_LEASE, {"row_id": damaged.row})
        row = connection.execute(_STATES, {"row_id": damaged.row}).one()
        version_state = None if row.version_state is None else VersionState(row.version_state)
        fate = fate_of_damaged(PackState(row.state), unread=row.unread_since_ms is not None, version=version_state)
        if fate is DamagedFate.GIVE_UP:
            take_rows(connection, damaged, digests)
            age_ms = connection.execute(select(gc_state.c.age_ms)).scalar() or 0
            connection.execute(_DOOM, {"row_id": damaged.row, "now_ms": self._clock.now_ms(), "age_ms": age_ms})
        return fate


def _unread(row: AnyRow) -> UnreadPack:
    return UnreadPack(row.id, bytes(row.pack_id), row.entity_id, row.size_bytes, row.version_id or "")
