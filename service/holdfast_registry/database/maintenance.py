"""What has to be done from time to time: leases and versions whose time is over, answers nobody asks for any more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, bindparam, select, update

from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.audit import forget_entries
from holdfast_registry.database.commits import end_lease
from holdfast_registry.database.database import Database
from holdfast_registry.database.deletion import delete_version
from holdfast_registry.database.expiry import EXPIRES_AT_MS
from holdfast_registry.database.locks import is_alone, lock_versions
from holdfast_registry.database.schema import collection, lease, pack, project, request, version
from holdfast_registry.domain.leases import may_expire
from holdfast_registry.domain.records import LeaseState, PackState, VersionState

REQUESTS_KEPT_MS = 30 * 24 * 3600 * 1000
"""30 days: a job that was offline for longer begins again."""
BATCH_ROWS = 500
"""Of one transaction, so that nobody waits for long."""
EXPIRED_AT_ONCE = 50
"""Each is a dozen statements."""

_OVERDUE = (
    select(lease.c.id, lease.c.version_id, lease.c.state, lease.c.expires_at_ms)
    .where(lease.c.state == LeaseState.ACTIVE.value, lease.c.expires_at_ms <= bindparam("now_ms"))
    .order_by(lease.c.id)
    .limit(BATCH_ROWS)
    # What is held by a commit or a seal is looked at again in the next round.
    .with_for_update(key_share=True, skip_locked=True)
)
_FAIL_PENDING = (
    update(version)
    .where(version.c.id == bindparam("version"), version.c.state == VersionState.PENDING.value)
    .values(state=VersionState.FAILED.value)
)
_EXPIRED = (
    select(version.c.id)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .where(version.c.state == VersionState.COMMITTED.value, bindparam("now_ms") >= EXPIRES_AT_MS)
    .limit(EXPIRED_AT_ONCE)
)
_UNSEALED_DOOMED = select(pack.c.pack_id).where(
    pack.c.state == PackState.DOOMED.value, pack.c.sealed_at_ms.is_(None), pack.c.doomed_at_ms >= bindparam("since_ms")
)
_OLD_REQUESTS = select(request.c.request_id).where(request.c.created_at_ms < bindparam("before_ms")).limit(BATCH_ROWS)


class MaintenanceRepository:
    """Expiry and forgetting."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource, *, audit_kept_ms: int = 0) -> None:
        """Puts it together.

        Args:
            database: where all is kept.
            clock: decides what is over.
            ids: for what a deletion changes.
            audit_kept_ms: how long entries of the audit log are kept; 0: for ever.
        """
        self._database = database
        self._clock = clock
        self._ids = ids
        self._audit_kept_ms = audit_kept_ms

    async def expire_leases(self) -> int:
        """Ends leases whose time is over, and gives up what was uploaded under them; returns how many there were.

        It is a transaction on the lease's row, as a commit is: one of the two comes first, never both.
        """
        return await self._database.write(self._expire)

    def _expire(self, connection: Connection) -> int:
        now_ms = self._clock.now_ms()
        overdue = connection.execute(_OVERDUE, {"now_ms": now_ms}).all()
        for row in overdue:
            if may_expire(LeaseState(row.state), row.expires_at_ms, now_ms):
                end_lease(connection, row.id, LeaseState.EXPIRED, now_ms)
                connection.execute(_FAIL_PENDING, {"version": row.version_id})
        return len(overdue)

    async def expire_versions(self) -> list[str]:
        """Deletes versions whose time has passed, with their names; returns some of them, none when there are no more.

        They are looked for beside the writer, and looked at again in the transaction: a link that has come, or a longer
        ttl, keeps a version alive.
        """
        overdue = await self._database.read(self._overdue_versions)
        return await self._database.write(partial(self._expire_versions, overdue=overdue)) if overdue else []

    def _overdue_versions(self, connection: Connection, among: Sequence[str] = ()) -> Sequence[str]:
        wanted = _EXPIRED.where(version.c.id.in_(among)) if among else _EXPIRED
        return connection.execute(wanted, {"now_ms": self._clock.now_ms()}).scalars().all()

    def _expire_versions(self, connection: Connection, overdue: Sequence[str]) -> list[str]:
        if not is_alone(connection):
            return []
        lock_versions(connection, overdue)
        expired = self._overdue_versions(connection, overdue)
        for version_id in expired:
            delete_version(connection, version_id, self._ids, self._clock.now_ms())
        return list(expired)

    async def given_up_packs(self, since_ms: int) -> list[bytes]:
        """Returns the ids of packs that were given up before they were sealed; their files are of no use."""

        def unit(connection: Connection) -> list[bytes]:
            return [bytes(found) for found in connection.execute(_UNSEALED_DOOMED, {"since_ms": since_ms}).scalars()]

        return await self._database.read(unit)

    async def forget_requests(self) -> int:
        """Forgets answers older than 30 days; returns how many there were."""
        before_ms = self._clock.now_ms() - REQUESTS_KEPT_MS
        return await self._database.write(partial(_forget, before_ms=before_ms))

    async def forget_audit(self) -> int:
        """Removes entries of the audit log that are older than is wished; returns how many there were."""
        if not self._audit_kept_ms:
            return 0
        before_ms = self._clock.now_ms() - self._audit_kept_ms
        return await self._database.write(partial(forget_entries, before_ms=before_ms))


def _forget(connection: Connection, before_ms: int) -> int:
    if not is_alone(connection):
        return 0
    old = connection.execute(_OLD_REQUESTS, {"before_ms": before_ms}).scalars().all()
    if old:
        connection.execute(request.delete().where(request.c.request_id.in_(old)))
    return len(old)
