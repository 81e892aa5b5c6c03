"""Distributed versions: parts are brought, and in the end one transaction makes a version of them.

Order inside the finishing transaction: request answered before? · finished by somebody else? · parts still those that were
merged · the commit (number, content, aliases, tags, lineage, lease) · parts and their jobs to the new version · response kept.
A crash before its COMMIT leaves the parts as they were, and the pending version of the merge to its lease.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection, bindparam, update

from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock
from holdfast_registry.database.checked_manifest import CheckedManifest, stands
from holdfast_registry.database.chunks import chunk_statements
from holdfast_registry.database.commits import (
    CommitRepository,
    CommitWish,
    NotCommitted,
    PendingVersion,
    end_lease,
    with_unread,
)
from holdfast_registry.database.database import Database
from holdfast_registry.database.locks import lock_collections, lock_distributed, lock_part, lock_upload
from holdfast_registry.database.parts import (
    brought_at_ms,
    distributed_of,
    find_distributed,
    find_origin,
    finish_distributed,
    forget_part,
    load_parts,
    remember_origin,
)
from holdfast_registry.database.schema import version
from holdfast_registry.database.statements import (
    Once,
    find_collection,
    find_response,
    load_version,
    remember_response,
)
from holdfast_registry.domain.distributed import Part, PartStatus, check_finishable, too_late, writers_of
from holdfast_registry.domain.records import CollectionName, LeaseGrant, LeaseState, VersionRecord, VersionState
from holdfast_registry.domain.versions import check_type
from holdfast_registry.errors import invalid, not_found

_PART_STATES = (VersionState.PART, VersionState.COMMITTED, VersionState.DELETED)
"""What a job can have come to, when it was to bring a part."""

_SET_PART = update(version).where(version.c.id == bindparam("version"))


@dataclass(frozen=True, slots=True)
class PartContent:
    """What a writer brings."""

    version_id: str
    lease_id: str
    artifact_digest: bytes
    origin_id: str


@dataclass(frozen=True, slots=True)
class PendingPart:
    """What a part is checked against, as it is at one moment."""

    pending: PendingVersion
    distributed_row: int
    distributed_id: str
    finished: VersionRecord | None
    """The version, when it is finished already."""


@dataclass(frozen=True, slots=True)
class FinishWish:
    """What is to be finished, and how; names and metadata are checked already."""

    name: CollectionName
    type: str
    distributed_id: str
    without_lost: bool
    commit: CommitWish
    """Its version, lease and digest are those of the merge, once that is done."""


@dataclass(frozen=True, slots=True)
class FinishPlan:
    """What a distributed version would be made of, as it is at one moment."""

    collection_id: int
    entity_id: int
    distributed_row: int
    finished_version_id: str | None
    parts: list[Part]

    @property
    def awaited(self) -> list[str]:
        """The writers whose parts are begun and not brought."""
        return writers_of(self.parts, PartStatus.AWAITED)


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome."""

    version: VersionRecord
    created: bool
    parts: int


class DistributedRepository:
    """Parts and what becomes of them."""

    def __init__(self, database: Database, commits: CommitRepository, clock: Clock, *, lease_ttl_s: int) -> None:
        self._database = database
        self._commits = commits
        self._clock = clock
        self._lease_ttl_s = lease_ttl_s

    # --- parts --------------------------------------------------------------------------------------------------------

    async def readable(self, version_id: str) -> VersionRecord:
        """Returns a version that is committed, or a part that is brought.

        Raises:
            RegistryError: NOT_FOUND.
        """
        record = await self._database.read(lambda connection: load_version(connection, version_id))
        if record is None or record.state not in (VersionState.COMMITTED, VersionState.PART):
            raise not_found(f"Version {version_id[:64]!r}")
        return record

    def prepare_part(self, content: PartContent, once: Once[VersionRecord]) -> bytes | PendingPart:
        """Returns what a part is to be checked against, or the response when it is brought already.  Blocks.

        Raises:
            RegistryError: NOT_FOUND, LEASE_EXPIRED, VERSION_NOT_PENDING, REQUEST_ID_REUSED, INVALID_ARGUMENT.
        """

        def unit(connection: Connection) -> bytes | PendingPart:
            if (answered := find_response(connection, once)) is not None:
                return answered
            found = self._pending_part(connection, content)
            return replace(found, pending=with_unread(connection, found.pending))

        return self._database.read_here(unit)

    def _pending_part(self, connection: Connection, content: PartContent) -> PendingPart:
        pending = self._commits.pending(connection, content.version_id, content.lease_id)
        row = distributed_of(connection, content.version_id)
        if row is None:
            raise invalid(f"Version {content.version_id[:64]!r} is no part of a distributed version; commit it.")
        known = find_origin(connection, pending.collection_id, content.origin_id, _PART_STATES)
        finished = load_version(connection, row.version_id) if row.version_id is not None else None
        return PendingPart(replace(pending, known_version_id=known), row.id, row.distributed_id, finished)

    async def add_part(
        self,
        content: PartContent,
        manifest: CheckedManifest | None,
        once: Once[VersionRecord],
        *,
        is_covered: bool | None,
    ) -> bytes | NotCommitted:
        """Keeps a part that was checked.

        Args:
            content: the part.
            manifest: None when its job is known, or when the finished version has all of it.
            once: of the request.
            is_covered: whether the finished version has every entry of the part; None: it was not finished.

        Raises:
            RegistryError: as `prepare_part`; DISTRIBUTED_FINISHED.
        """
        unit = partial(self._add_part, content=content, manifest=manifest, once=once, is_covered=is_covered)
        answer = await self._database.write(unit)
        failpoint("part.after_commit")
        return answer

    def _add_part(
        self,
        connection: Connection,
        content: PartContent,
        manifest: CheckedManifest | None,
        once: Once[VersionRecord],
        *,
        is_covered: bool | None,
    ) -> bytes | NotCommitted:
        lock_part(connection, content.version_id, content.lease_id)
        if (answered := find_response(connection, once)) is not None:
            return answered
        found = self._pending_part(connection, content)
        now_ms = self._clock.now_ms()
        target = content.version_id
        if found.pending.known_version_id is not None:
            target = found.pending.known_version_id
        elif found.finished is not None:
            if is_covered is None:
                return NotCommitted.RECHECK
            if not is_covered:
                raise too_late(found.distributed_id, str(found.finished))
            target = found.finished.version_id
        elif manifest is None or not stands(connection, manifest, found.pending.chunk_epoch):
            return NotCommitted.RECHECK
        else:
            self._keep_part(connection, found, manifest, now_ms)
        if target != content.version_id:
            forget_part(connection, content.version_id)
            connection.execute(_SET_PART, {"version": content.version_id, "state": VersionState.FAILED.value})
        remember_origin(connection, found.pending.collection_id, content.origin_id, target)
        end_lease(connection, content.lease_id, LeaseState.CLOSED, now_ms)
        record = load_version(connection, target)
        assert record is not None, "the part was written in this transaction, or is known"
        response = remember_response(connection, once, record, now_ms)
        failpoint("part.before_commit")
        return response

    def _keep_part(self, connection: Connection, found: PendingPart, manifest: CheckedManifest, now_ms: int) -> None:
        if manifest.condemned:
            chunk_statements(connection).revive(connection, found.pending.entity_id, manifest.condemned)
        values = {
            "version": found.pending.version_id,
            "state": VersionState.PART.value,
            "digest": manifest.summary.artifact_digest,
            "manifest_root": manifest.root_digest,
            "size_bytes": manifest.summary.size_bytes,
            "entry_count": manifest.summary.entry_count,
            "updated_at_ms": brought_at_ms(connection, found.distributed_row, now_ms),
        }
        connection.execute(_SET_PART, values)

    # --- the finish ---------------------------------------------------------------------------------------------------

    def plan(self, wish: FinishWish, once: Once[Finished]) -> bytes | FinishPlan:
        """Returns what there is to be merged, or the response when that was done under this request id.  Blocks.

        Raises:
            RegistryError: NOT_FOUND: nobody has begun this distributed version; TYPE_MISMATCH, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes | FinishPlan:
            return find_response(connection, once) or self._plan(connection, wish)

        return self._database.read_here(unit)

    def _plan(self, connection: Connection, wish: FinishWish) -> FinishPlan:
        found = find_collection(connection, wish.name)
        row = None if found is None else find_distributed(connection, found.id, wish.distributed_id)
        if found is None or row is None:
            raise not_found(f"Distributed version {wish.distributed_id!r} of artifact {wish.name}")
        check_type(wish.name.name, found.type, wish.type)
        parts = load_parts(connection, row.id, self._clock.now_ms())
        return FinishPlan(found.id, found.entity_id, row.id, row.version_id, parts)

    async def open_merge(self, plan: FinishPlan) -> tuple[str, LeaseGrant]:
        """Opens the version that the parts become, and the lease under which the merged manifest is stored."""

        def unit(connection: Connection) -> tuple[str, LeaseGrant]:
            return self._commits.open_pending(
                connection, plan.collection_id, plan.entity_id, self._lease_ttl_s, self._clock.now_ms()
            )

        return await self._database.write(unit)

    def pending(self, version_id: str, lease_id: str) -> PendingVersion:
        """Returns what the merged manifest is to be checked against.  Blocks.

        Raises:
            RegistryError: LEASE_EXPIRED: the merge took longer than a lease.
        """

        def unit(connection: Connection) -> PendingVersion:
            return with_unread(connection, self._commits.pending(connection, version_id, lease_id))

        return self._database.read_here(unit)

    async def finish(
        self, wish: FinishWish, plan: FinishPlan, manifest: CheckedManifest | None, once: Once[Finished]
    ) -> bytes | NotCommitted:
        """Makes the version, or records the wish's names on the one that is finished; RECHECK when the plan does not hold.

        Raises:
            RegistryError: as CommitVersion.
        """
        answer = await self._database.write(partial(self._finish, wish=wish, plan=plan, manifest=manifest, once=once))
        failpoint("finish.after_commit")
        return answer

    def _finish(
        self,
        connection: Connection,
        wish: FinishWish,
        plan: FinishPlan,
        manifest: CheckedManifest | None,
        once: Once[Finished],
    ) -> bytes | NotCommitted:
        lock_collections(connection, [plan.collection_id])
        lock_distributed(connection, plan.distributed_row)
        lock_upload(connection, wish.commit.version_id, wish.commit.lease_id)
        if (answered := find_response(connection, once)) is not None:
            return answered
        now_ms = self._clock.now_ms()
        current = self._plan(connection, wish)
        if current.finished_version_id is not None:
            created, target = False, current.finished_version_id
            self._name_finished(connection, wish, current, target, now_ms)
        elif not wish.commit.version_id or current.parts != plan.parts:
            return NotCommitted.RECHECK
        else:
            pending = self._commits.pending(connection, wish.commit.version_id, wish.commit.lease_id)
            settled = self._commits.settle(connection, pending, wish.commit, manifest, now_ms)
            if not isinstance(settled, str):
                return NotCommitted.RECHECK
            created, target = settled == wish.commit.version_id, settled
            finish_distributed(connection, plan.distributed_row, target, now_ms)
        record = load_version(connection, target)
        assert record is not None, "the version was written in this transaction, or before"
        parts = sum(part.status is PartStatus.BROUGHT for part in plan.parts)
        response = remember_response(connection, once, Finished(record, created, parts), now_ms)
        failpoint("finish.before_commit")
        return response

    def _name_finished(
        self, connection: Connection, wish: FinishWish, plan: FinishPlan, target: str, now_ms: int
    ) -> None:
        """Who finishes again gets names and lineage recorded, as with any content that exists; the same job only once."""
        record = load_version(connection, target)
        known = find_origin(connection, plan.collection_id, wish.commit.origin_id)
        if known is not None or record is None or record.state is not VersionState.COMMITTED:
            return
        found = find_collection(connection, wish.name)
        is_latest = found is not None and found.latest_version_id == target
        self._commits.record_names(
            connection, plan.collection_id, target, wish.commit, is_latest=is_latest, now_ms=now_ms
        )
        remember_origin(connection, plan.collection_id, wish.commit.origin_id, target)


def parts_to_merge(wish: FinishWish, plan: FinishPlan) -> list[Part]:
    """Returns the parts that make up the version; see `check_finishable`."""
    return check_finishable(wish.distributed_id, plan.parts, without_lost=wish.without_lost)
