"""The life of a version up to its commit: begin, commit, abort; each one transaction.

Order inside the commit's transaction: request answered before? · version pending, lease active · job known? base still the
latest? no-op or new · chunks still all there · numbers · state and content · aliases · tags · lineage · lease closed ·
response kept.
A crash before its COMMIT leaves the version PENDING and the lease as it was; after it, everything has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, text, update

from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.checked_manifest import CheckedManifest, stands
from holdfast_registry.database.chunks import chunk_statements
from holdfast_registry.database.database import Database
from holdfast_registry.database.expiry import EXPIRES_AT_MS
from holdfast_registry.database.lineage import add_edge, upsert_run
from holdfast_registry.database.locks import lock_given_up, lock_upload
from holdfast_registry.database.parts import BeginWish, begin_part, find_origin, forget_part, remember_origin
from holdfast_registry.database.quotas import charge_version, has_quota
from holdfast_registry.database.schema import alias, collection, entity, lease, lost_chunk, pack, project, version
from holdfast_registry.database.semantic_versions import HIGHEST_GIVEN, give_version, refuse_capture, refuse_taken
from holdfast_registry.database.statements import (
    Once,
    ensure_project,
    find_collection,
    find_response,
    insert_collection,
    load_version,
    remember_response,
    touch,
    ttl_columns,
)
from holdfast_registry.database.unread import UnreadPack, unread_of_version
from holdfast_registry.domain.aliases import plan_aliases
from holdfast_registry.domain.leases import is_usable, lease_expired
from holdfast_registry.domain.records import (
    CollectionKind,
    CollectionName,
    EdgeKind,
    LeaseGrant,
    LeaseState,
    PackState,
    RunRecord,
    VersionRecord,
    VersionState,
)
from holdfast_registry.domain.registries import check_loggable, check_working_project
from holdfast_registry.domain.semver import ANY_VERSION, SemanticVersion, SemanticVersionWish, parse_version
from holdfast_registry.domain.ttl import Ttl
from holdfast_registry.domain.versions import CommitDecision, LatestVersion, check_pending, check_type, decide_commit
from holdfast_registry.errors import not_found


@dataclass(frozen=True, slots=True)
class Begun:
    """A version that waits for its content."""

    version_id: str
    lease: LeaseGrant
    latest: LatestVersion | None


NO_BASE = "none"
"""The base of a manifest that was merged while the collection had no version."""


@dataclass(frozen=True, slots=True)
class CommitWish:
    """What a writer wants committed; names and metadata are checked already."""

    version_id: str
    lease_id: str
    artifact_digest: bytes
    description: str | None
    metadata_json: bytes
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    run: RunRecord | None
    history_step: int | None
    use_after_commit: bool
    ttl: Ttl
    origin_id: str = ""
    """The writer's job; one that is known makes no second version."""
    base_version_id: str = ""
    """The latest version that the manifest was merged from, or NO_BASE; empty: it was merged from none."""
    semantic_version: SemanticVersionWish = ANY_VERSION


@dataclass(frozen=True, slots=True)
class PendingVersion:
    """What a commit goes by, as it is at one moment."""

    version_id: str
    lease_id: str
    """Under which it is brought; empty: no pack is its own."""
    collection_id: int
    entity_id: int
    chunk_epoch: int
    latest: LatestVersion | None
    project_id: int
    has_quota: bool
    """Whether its entity has any quota."""
    has_lost_chunks: bool = False
    """Some version of the entity is damaged, so what the latest one names need not be stored."""
    collection_name: str = ""
    highest: SemanticVersion | None = None
    """That the collection has ever given."""
    known_version_id: str | None = None
    """The version that the wish's origin came to before."""
    unread_of_latest: tuple[UnreadPack, ...] = ()
    """Packs that nobody has read back and the latest version may lean on: its own, for all others were read before it was committed."""

    def has_base(self, base_version_id: str) -> bool:
        """Tells whether a manifest that was merged from this version is still right."""
        return base_version_id in ("", NO_BASE if self.latest is None else self.latest.version_id)


@dataclass(frozen=True, slots=True)
class BaseChanged:
    """Nothing was committed: the latest version is another one than the manifest was merged from."""

    latest: LatestVersion | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a commit."""

    version: VersionRecord
    created: bool


class NotCommitted(Enum):
    """Why a commit has changed nothing, though it was not refused."""

    MANIFEST_NEEDED = auto()
    RECHECK = auto()
    """Chunks were condemned or deleted since they were found; look again."""


_PENDING = (
    select(
        version.c.id,
        version.c.state,
        version.c.collection_id,
        collection.c.kind,
        collection.c.name,
        collection.c.latest_version_id,
        collection.c.project_id,
        project.c.entity_id,
        has_quota(project.c.entity_id).label("has_quota"),
        entity.c.chunk_epoch,
        select(lost_chunk.c.digest).where(lost_chunk.c.entity_id == entity.c.id).exists().label("has_lost_chunks"),
        lease.c.state.label("lease_state"),
        lease.c.expires_at_ms,
        HIGHEST_GIVEN.label("highest"),
    )
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .outerjoin(lease, and_(lease.c.version_id == version.c.id, lease.c.id == bindparam("lease_id")))
    .where(version.c.id == bindparam("version_id"))
)
_LATEST = (
    select(
        version.c.id,
        version.c.version_index,
        version.c.digest,
        version.c.manifest_root,
        version.c.semantic_version,
        EXPIRES_AT_MS.label("expires_at_ms"),
    )
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .where(version.c.id == bindparam("version_id"))
)
_TAKE_NUMBER = (
    update(collection)
    .where(collection.c.id == bindparam("row_id"))
    .values(
        next_version_index=collection.c.next_version_index + 1,
        latest_version_id=bindparam("version"),
        updated_at_ms=bindparam("now_ms"),
    )
    .returning(collection.c.next_version_index)
)
_END_LEASE = (
    update(lease)
    .where(lease.c.id == bindparam("lease_id"), lease.c.state == LeaseState.ACTIVE.value)
    .values(state=bindparam("new_state"), ended_at_ms=bindparam("now_ms"))
)
_DOOM_UPLOADS = (
    update(pack)
    .where(pack.c.lease_id == bindparam("of_lease"), pack.c.state == PackState.UPLOADING.value)
    .values(state=PackState.DOOMED.value, doomed_at_ms=bindparam("now_ms"))
)
_SET_STATE = update(version).where(version.c.id == bindparam("version")).values(state=bindparam("new_state"))
_SET_CONTENT = update(version).where(version.c.id == bindparam("version"))
_SET_LOGGED_BY = (
    update(version)
    .where(version.c.id == bindparam("version"), version.c.logged_by.is_(None))
    .values(logged_by=bindparam("run_row"))
)
_HOLDERS = select(alias.c.name, alias.c.version_id).where(
    alias.c.collection_id == bindparam("collection_id"),
    or_(alias.c.version_id == bindparam("target"), alias.c.name.in_(bindparam("names", expanding=True))),
)
_MOVE_ALIAS = text(
    "INSERT INTO alias (collection_id, name, version_id) VALUES (:collection_id, :name, :version_id) "
    "ON CONFLICT (collection_id, name) DO UPDATE SET version_id = excluded.version_id"
)
_DROP_ALIASES = alias.delete().where(
    alias.c.collection_id == bindparam("of_collection"), alias.c.name.in_(bindparam("names", expanding=True))
)
_ADD_TAG = text("INSERT INTO version_tag (version_id, tag) VALUES (:version_id, :tag) ON CONFLICT DO NOTHING")
_INSERT_VERSION = insert(version)
_INSERT_LEASE = insert(lease)
_STATE = select(version.c.state).where(version.c.id == bindparam("version_id"))
_LEASES_OF = select(lease.c.id).where(lease.c.version_id == bindparam("version_id"))


def load_latest(connection: Connection, version_id: str | None, now_ms: int) -> LatestVersion | None:
    """Returns what a commit needs of the collection's latest version; None also of one that is about to be deleted.

    A version whose time has passed stays readable until the next round of maintenance, but nothing new comes to it:
    whoever logs its content again gets a version that lives as long as they said.
    """
    row = connection.execute(_LATEST, {"version_id": version_id}).first() if version_id else None
    if row is None or (row.expires_at_ms is not None and row.expires_at_ms <= now_ms):
        return None
    return LatestVersion(
        row.id, row.version_index, bytes(row.digest), bytes(row.manifest_root), row.semantic_version or ""
    )


def with_unread(connection: Connection, pending: PendingVersion) -> PendingVersion:
    """Returns it as the check of a manifest wants it."""
    return replace(pending, unread_of_latest=_unread_of_latest(connection, pending))


def _unread_of_latest(connection: Connection, pending: PendingVersion) -> tuple[UnreadPack, ...]:
    latest = pending.latest
    return () if latest is None else unread_of_version(connection, pending.entity_id, latest.version_id)


def _is_whole(connection: Connection, pending: PendingVersion, manifest: CheckedManifest | None) -> bool:
    """Tells whether the latest version has the content that this manifest of its own, if it was checked, says it has.

    It may have become the latest since the check.  While some version of the entity is hurt, its chunks are looked for, and who
    brings them again heals it only with what was read.
    """
    if _unread_of_latest(connection, pending):
        return False
    if not pending.has_lost_chunks:
        return True
    return manifest is not None and manifest.is_read and stands(connection, manifest, pending.chunk_epoch)


def take_number(connection: Connection, collection_id: int, version_id: str, now_ms: int) -> int:
    """Returns the next number of a collection, and makes its bearer the latest version there."""
    number = {"row_id": collection_id, "version": version_id, "now_ms": now_ms}
    return int(connection.execute(_TAKE_NUMBER, number).scalar_one()) - 1


def end_lease(connection: Connection, lease_id: str, state: LeaseState, now_ms: int) -> None:
    """Ends a lease that is active; packs that were not sealed under it are given up."""
    connection.execute(_END_LEASE, {"lease_id": lease_id, "new_state": state.value, "now_ms": now_ms})
    connection.execute(_DOOM_UPLOADS, {"of_lease": lease_id, "now_ms": now_ms})


def add_tags(connection: Connection, version_id: str, tags: Sequence[str]) -> None:
    """Adds tags that the version does not have."""
    if tags:
        connection.execute(_ADD_TAG, [{"version_id": version_id, "tag": tag} for tag in sorted(set(tags))])


def change_aliases(
    connection: Connection,
    collection_id: int,
    target: str,
    *,
    add: Sequence[str],
    remove: Sequence[str] = (),
    is_latest: bool,
) -> frozenset[str]:
    """Gives names to a version and takes names from it; returns the versions touched."""
    names = {*add, *remove, "latest"}
    found = connection.execute(_HOLDERS, {"collection_id": collection_id, "target": target, "names": sorted(names)})
    holders: dict[str, str] = {row.name: row.version_id for row in found}
    plan = plan_aliases(holders, target, add, remove, is_latest=is_latest)
    refuse_capture(connection, collection_id, target, plan.moves)
    if plan.removals:
        connection.execute(_DROP_ALIASES, {"of_collection": collection_id, "names": list(plan.removals)})
    if plan.moves:
        moves = [{"collection_id": collection_id, "name": name, "version_id": target} for name in plan.moves]
        connection.execute(_MOVE_ALIAS, moves)
    return plan.touched


class CommitRepository:
    """Begins, commits and aborts versions."""

    def __init__(
        self, database: Database, clock: Clock, ids: IdSource, *, lease_ttl_s: int, part_lease_ttl_s: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._lease_ttl_s = lease_ttl_s
        self._part_lease_ttl_s = part_lease_ttl_s

    async def begin(self, name: CollectionName, type_name: str, once: Once[Begun], wish: BeginWish) -> bytes:
        """Opens a PENDING version, or a part of a distributed one, and its lease; makes project and collection when absent.

        Raises:
            RegistryError: TYPE_MISMATCH, KIND_MISMATCH, SEMVER_EXISTS, SEMVER_REUSED, REQUEST_ID_REUSED.
        """
        unit = partial(self._begin, name=name, type_name=type_name, once=once, wish=wish)
        response = await self._database.write(unit)
        failpoint("begin.after_commit")
        return response

    def _begin(
        self, connection: Connection, name: CollectionName, type_name: str, once: Once[Begun], wish: BeginWish
    ) -> bytes:
        if (answered := find_response(connection, once)) is not None:
            return answered
        now_ms, part = self._clock.now_ms(), wish.part
        found = find_collection(connection, name)
        if found is None:
            entity_id, collection_id = self._make_collection(connection, name, type_name, now_ms)
            latest = None
        else:
            check_loggable(name.name, CollectionKind(found.kind))
            check_type(name.name, found.type, type_name)
            entity_id, collection_id = found.entity_id, found.id
            latest = load_latest(connection, found.latest_version_id, now_ms)
            if part is None and find_origin(connection, collection_id, wish.origin_id) is None:
                refuse_taken(connection, collection_id, name.name, latest, wish.semantic_version)
        ttl_s = self._lease_ttl_s if part is None else self._part_lease_ttl_s
        version_id, grant = self.open_pending(connection, collection_id, entity_id, ttl_s, now_ms)
        if part is not None:
            for replaced in begin_part(connection, collection_id, version_id, part, now_ms):
                self._give_up(connection, replaced, now_ms)
        response = remember_response(connection, once, Begun(version_id, grant, latest), now_ms)
        failpoint("begin.before_commit")
        return response

    def _make_collection(
        self, connection: Connection, name: CollectionName, type_name: str, now_ms: int
    ) -> tuple[int, int]:
        check_working_project(name.project)
        entity_id, project_id = ensure_project(connection, name.entity, name.project, now_ms)
        made = insert_collection(
            connection, self._ids.new_id(), project_id, name.name, CollectionKind.SEQUENCE, type_name, now_ms
        )
        return entity_id, made

    def _insert_pending(self, connection: Connection, version_id: str, collection_id: int, now_ms: int) -> None:
        values = {
            "id": version_id,
            "collection_id": collection_id,
            "state": VersionState.PENDING.value,
            "size_bytes": 0,
            "entry_count": 0,
            "metadata_json": b"",
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
            "commit_hash": "",
            "etag": "",
        }
        connection.execute(_INSERT_VERSION, values)

    def open_pending(
        self, connection: Connection, collection_id: int, entity_id: int, ttl_s: int, now_ms: int
    ) -> tuple[str, LeaseGrant]:
        """Adds a version that waits for its content, and the lease under which that is brought."""
        version_id, lease_id = self._ids.new_id(), self._ids.new_id()
        self._insert_pending(connection, version_id, collection_id, now_ms)
        self._insert_lease(connection, lease_id, entity_id, version_id, ttl_s, now_ms)
        return version_id, LeaseGrant(lease_id, ttl_s)

    def _insert_lease(
        self, connection: Connection, lease_id: str, entity_id: int, version_id: str, ttl_s: int, now_ms: int
    ) -> None:
        values = {
            "id": lease_id,
            "entity_id": entity_id,
            "version_id": version_id,
            "state": LeaseState.ACTIVE.value,
            "started_at_ms": now_ms,
            "expires_at_ms": now_ms + ttl_s * 1000,
        }
        connection.execute(_INSERT_LEASE, values)

    def prepare(self, wish: CommitWish, once: Once[Committed]) -> bytes | PendingVersion:
        """Returns what a manifest is to be checked against, or the response when it is committed already.  Blocks.

        Raises:
            RegistryError: NOT_FOUND, LEASE_EXPIRED, VERSION_NOT_PENDING, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes | PendingVersion:
            if (answered := find_response(connection, once)) is not None:
                return answered
            pending = self.pending(connection, wish.version_id, wish.lease_id)
            known = find_origin(connection, pending.collection_id, wish.origin_id)
            return replace(with_unread(connection, pending), known_version_id=known)

        return self._database.read_here(unit)

    async def commit(
        self, wish: CommitWish, manifest: CheckedManifest | None, once: Once[Committed]
    ) -> bytes | NotCommitted | BaseChanged:
        """Commits in one transaction, or records a no-op on the latest version.

        Raises:
            RegistryError: NOT_FOUND, LEASE_EXPIRED, VERSION_NOT_PENDING, REQUEST_ID_REUSED, QUOTA_EXCEEDED; names over their limits.
        """
        answer = await self._database.write(partial(self._commit, wish=wish, manifest=manifest, once=once))
        failpoint("commit.after_commit")
        return answer

    def _commit(
        self, connection: Connection, wish: CommitWish, manifest: CheckedManifest | None, once: Once[Committed]
    ) -> bytes | NotCommitted | BaseChanged:
        lock_upload(connection, wish.version_id, wish.lease_id)
        if (answered := find_response(connection, once)) is not None:
            return answered
        pending = self.pending(connection, wish.version_id, wish.lease_id)
        now_ms = self._clock.now_ms()
        target = self.settle(connection, pending, wish, manifest, now_ms)
        if not isinstance(target, str):
            return target
        committed = load_version(connection, target)
        assert committed is not None, "the version was written in this transaction, or is known"
        response = remember_response(connection, once, Committed(committed, target == wish.version_id), now_ms)
        failpoint("commit.before_commit")
        return response

    def settle(
        self,
        connection: Connection,
        pending: PendingVersion,
        wish: CommitWish,
        manifest: CheckedManifest | None,
        now_ms: int,
    ) -> str | NotCommitted | BaseChanged:
        """Does everything of a commit but its answer; returns the version that it came to."""
        known = find_origin(connection, pending.collection_id, wish.origin_id)
        if known is not None:
            self._give_up(connection, wish.version_id, now_ms)
            return known
        if not pending.has_base(wish.base_version_id):
            return BaseChanged(pending.latest)
        decision = decide_commit(
            wish.artifact_digest, pending.latest, has_manifest=manifest is not None, wish=wish.semantic_version
        )
        if decision is CommitDecision.NO_OP and pending.latest is not None:
            if not _is_whole(connection, pending, manifest):
                return NotCommitted.RECHECK
            target = pending.latest.version_id
            connection.execute(_SET_STATE, {"version": wish.version_id, "new_state": VersionState.FAILED.value})
        elif manifest is None:
            return NotCommitted.MANIFEST_NEEDED
        elif not stands(connection, manifest, pending.chunk_epoch):
            return NotCommitted.RECHECK
        else:
            if pending.has_quota:
                charge_version(connection, pending.entity_id, pending.project_id)
            target = wish.version_id
            self._set_content(connection, pending, wish, manifest, now_ms)
        self.record_names(connection, pending.collection_id, target, wish, is_latest=True, now_ms=now_ms)
        remember_origin(connection, pending.collection_id, wish.origin_id, target)
        end_lease(connection, wish.lease_id, LeaseState.CLOSED, now_ms)
        return target

    def pending(self, connection: Connection, version_id: str, lease_id: str) -> PendingVersion:
        """Returns what a commit under this lease goes by.

        Raises:
            RegistryError: NOT_FOUND, LEASE_EXPIRED, VERSION_NOT_PENDING.
        """
        row = connection.execute(_PENDING, {"version_id": version_id, "lease_id": lease_id}).first()
        if row is None:
            raise not_found(f"Version {version_id[:64]!r}")
        # Begun while its collection was being deleted, it is as those that were deleted with it.
        if row.lease_state in (None, LeaseState.EXPIRED) or row.kind == CollectionKind.DELETED:
            raise lease_expired(lease_id)
        check_pending(version_id, VersionState(row.state))
        now_ms = self._clock.now_ms()
        if not is_usable(LeaseState(row.lease_state), row.expires_at_ms, now_ms):
            raise lease_expired(lease_id)
        latest = load_latest(connection, row.latest_version_id, now_ms)
        return PendingVersion(
            row.id,
            lease_id,
            row.collection_id,
            row.entity_id,
            row.chunk_epoch,
            latest,
            row.project_id,
            bool(row.has_quota),
            bool(row.has_lost_chunks),
            row.name,
            parse_version(row.highest or ""),
        )

    def _set_content(
        self,
        connection: Connection,
        pending: PendingVersion,
        wish: CommitWish,
        manifest: CheckedManifest,
        now_ms: int,
    ) -> None:
        given = give_version(
            connection, pending.collection_id, pending.collection_name, pending.highest, wish.semantic_version
        )
        if manifest.condemned:
            chunk_statements(connection).revive(connection, pending.entity_id, manifest.condemned)
        index = take_number(connection, pending.collection_id, wish.version_id, now_ms)
        values = {
            "state": VersionState.COMMITTED.value,
            "version_index": index,
            "semantic_version": str(given),
            "semantic_version_key": given.key,
            "digest": manifest.summary.artifact_digest,
            "manifest_root": manifest.root_digest,
            "size_bytes": manifest.summary.size_bytes,
            "entry_count": manifest.summary.entry_count,
            "description": wish.description,
            "metadata_json": wish.metadata_json,
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
            "commit_hash": self._ids.new_id(),
            "history_step": wish.history_step,
            "etag": self._ids.new_id(),
        } | ttl_columns(wish.ttl)
        connection.execute(_SET_CONTENT, values | {"version": wish.version_id})

    def record_names(
        self,
        connection: Connection,
        collection_id: int,
        target: str,
        wish: CommitWish,
        *,
        is_latest: bool,
        now_ms: int,
    ) -> None:
        """Gives a version the aliases and tags that were wished for, and records the run's edge."""
        touched = change_aliases(connection, collection_id, target, add=wish.aliases, is_latest=is_latest)
        add_tags(connection, target, wish.tags)
        if target != wish.version_id and wish.tags:
            touched |= {target}
        touch(connection, touched - {wish.version_id}, self._ids.new_id, now_ms)
        if wish.run is None:
            return
        run_row = upsert_run(connection, wish.run, now_ms, carried=True)
        add_edge(connection, target, run_row, EdgeKind.LOGGED, now_ms)
        if wish.use_after_commit:
            add_edge(connection, target, run_row, EdgeKind.USED, now_ms)
        connection.execute(_SET_LOGGED_BY, {"version": target, "run_row": run_row})

    async def abort(self, version_id: str, *, withdrawn: bool) -> None:
        """Gives a PENDING version up and closes its lease; anything else is left alone.

        Args:
            version_id: whichever; one that does not exist is no error.
            withdrawn: a part is forgotten, instead of counting as that of a lost writer.
        """

        def unit(connection: Connection) -> None:
            lock_given_up(connection, version_id)
            state = connection.execute(_STATE, {"version_id": version_id}).scalar()
            if state == VersionState.PENDING:
                self._give_up(connection, version_id, self._clock.now_ms())
            if withdrawn and state in (VersionState.PENDING, VersionState.FAILED):
                forget_part(connection, version_id)

        await self._database.write(unit)

    def _give_up(self, connection: Connection, version_id: str, now_ms: int) -> None:
        connection.execute(_SET_STATE, {"version": version_id, "new_state": VersionState.FAILED.value})
        for lease_id in connection.execute(_LEASES_OF, {"version_id": version_id}).scalars().all():
            end_lease(connection, lease_id, LeaseState.CLOSED, now_ms)
