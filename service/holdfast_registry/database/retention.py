"""Policies of retention: kept with projects and collections, and carried out on versions.

A deletion by policy and its entry in the audit log are one transaction, as a user's is; a crash leaves some of the versions of a policy
deleted and the others for the next time.  The policy, and what it would take, are looked at again in the transaction that deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, literal, or_, select, update

from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.audit import write_entry
from holdfast_registry.database.current_call import AuditEntry
from holdfast_registry.database.database import Database
from holdfast_registry.database.deletion import delete_version
from holdfast_registry.database.expiry import IS_LINKED
from holdfast_registry.database.filters import json_number
from holdfast_registry.database.locks import lock_collections, lock_project, lock_versions
from holdfast_registry.database.places import PROTECTION_COUNTS
from holdfast_registry.database.schema import alias, collection, entity, project, protected_alias, version, version_tag
from holdfast_registry.database.statements import AnyRow, Once, find_response, remember_response
from holdfast_registry.domain.aliases import LATEST
from holdfast_registry.domain.records import CollectionKind, CollectionName, VersionState
from holdfast_registry.domain.retention import Candidate, Doomed, RetentionPolicy, doomed_versions, parse_policy
from holdfast_registry.domain.ttl import TtlKind
from holdfast_registry.errors import RegistryError, not_found

ACTOR = "retention"
"""Who the audit log says has deleted; such an entry has no token and no peer."""
METHOD = "Retention/DeleteVersion"

_OF_PROJECT = (
    select(project.c.id, project.c.retention_json, project.c.is_registry)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(entity.c.name == bindparam("entity"), project.c.name == bindparam("project"))
)
_POLICED = (
    select(
        collection.c.id,
        collection.c.name,
        collection.c.kind,
        collection.c.retention_json,
        project.c.id.label("project_id"),
        project.c.name.label("project"),
        project.c.retention_json.label("project_json"),
        entity.c.name.label("entity"),
    )
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(collection.c.kind != CollectionKind.DELETED.value)
)
_SEQUENCES = _POLICED.where(collection.c.kind == CollectionKind.SEQUENCE.value).order_by(collection.c.id)
_IN_FORCE = func.coalesce(collection.c.retention_json, project.c.retention_json)
_IN_PROJECT = (entity.c.name == bindparam("entity"), project.c.name == bindparam("project"))
_own_alias = and_(alias.c.collection_id == version.c.collection_id, alias.c.version_id == version.c.id)
_IS_ALIASED = select(literal(1)).where(_own_alias, alias.c.name != LATEST).exists()
_IS_PROTECTED = (
    select(literal(1))
    .select_from(alias)
    .join(protected_alias, protected_alias.c.name == alias.c.name)
    .where(_own_alias, PROTECTION_COUNTS)
    .exists()
)
_IS_HELD = or_(IS_LINKED, _IS_PROTECTED, version.c.ttl_kind == TtlKind.NONE.value)
_CANDIDATES = (
    select(
        version.c.id,
        version.c.version_index,
        version.c.size_bytes,
        version.c.created_at_ms,
        _IS_HELD.label("is_held"),
        _IS_ALIASED.label("is_aliased"),
        version.c.etag,
    )
    .join(collection, collection.c.id == version.c.collection_id)
    .where(version.c.collection_id == bindparam("row_id"), version.c.state == VersionState.COMMITTED.value)
)
_HELD = (
    select(version.c.id)
    .join(collection, collection.c.id == version.c.collection_id)
    .where(version.c.id.in_(bindparam("version_ids", expanding=True)), _IS_HELD)
)
# Whatever a rule looks at changes a version's etag, but links and protection.
_ETAGS = select(version.c.id, version.c.etag).where(
    version.c.collection_id == bindparam("row_id"), version.c.state == VersionState.COMMITTED.value
)
_TAGS = (
    select(version_tag.c.version_id, version_tag.c.tag)
    .join(version, version.c.id == version_tag.c.version_id)
    .where(version.c.collection_id == bindparam("row_id"), version.c.state == VersionState.COMMITTED.value)
)


class RetentionSource(Enum):
    """Where a policy comes from."""

    NONE = "none"
    COLLECTION = "collection"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class RetentionRecord:
    """A policy in force."""

    policy: RetentionPolicy | None
    source: RetentionSource


@dataclass(frozen=True, slots=True)
class PolicedCollection:
    """A sequence, and the policy in force for it."""

    row_id: int
    name: CollectionName
    policy: RetentionPolicy
    source: RetentionSource


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What goes by a policy, as things were at one moment."""

    policed: PolicedCollection
    doomed: Sequence[Doomed]
    """Oldest first."""
    etags: Mapping[str, str]
    """Of all versions of the collection, by their ids."""


class RetentionRepository:
    """Policies and what they come to; each method is one transaction."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def get(self, place: CollectionName) -> RetentionRecord:
        """Returns the policy in force for a collection, or with an empty name a project's own.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get, place=place))

    async def set(self, place: CollectionName, policy: RetentionPolicy | None, once: Once[RetentionRecord]) -> bytes:
        """Sets the policy of a collection, or with an empty name a project's; None takes it back.

        Raises:
            RegistryError: NOT_FOUND; KIND_MISMATCH: a portfolio or registry; REQUEST_ID_REUSED.
        """
        return await self._database.write(partial(self._set, place=place, policy=policy, once=once))

    def _set(
        self,
        connection: Connection,
        place: CollectionName,
        policy: RetentionPolicy | None,
        once: Once[RetentionRecord],
    ) -> bytes:
        table, row_id = _lock(connection, place)
        if (answered := find_response(connection, once)) is not None:
            return answered
        now_ms = self._clock.now_ms()
        values = {"retention_json": None if policy is None else policy.to_json(), "updated_at_ms": now_ms}
        connection.execute(update(table).where(table.c.id == row_id).values(values))
        return remember_response(connection, once, _get(connection, place), now_ms)

    async def policed(self) -> list[PolicedCollection]:
        """Returns all sequences by whose policy something can go."""

        def unit(connection: Connection) -> list[PolicedCollection]:
            rows = connection.execute(_SEQUENCES.where(_IN_FORCE.is_not(None)))
            return [found for row in rows if (found := _policed(row)).policy.deletes]

        return await self._database.read(unit)

    async def policed_at(
        self, place: CollectionName, instead: RetentionPolicy | None = None
    ) -> list[PolicedCollection]:
        """Returns a collection, or with an empty name all sequences of a project, with the policies in force.

        Args:
            place: of the collection or project.
            instead: as if this were the policy of what is named; collections of a project that have one of their own keep that.

        Raises:
            RegistryError: NOT_FOUND; KIND_MISMATCH: a portfolio or registry.
        """

        def unit(connection: Connection) -> list[PolicedCollection]:
            _checked(connection, place)
            wanted = _SEQUENCES.where(*_IN_PROJECT)
            if place.name:
                wanted = wanted.where(collection.c.name == place.name)
            rows = connection.execute(wanted, {"entity": place.entity, "project": place.project})
            return [_policed(row, None if row.retention_json and not place.name else instead) for row in rows]

        return await self._database.read(unit)

    async def plan(self, policed: PolicedCollection) -> RetentionPlan:
        """Returns what goes by a policy as things are now."""
        return await self._database.read(partial(self._plan, policed=policed))

    def _plan(self, connection: Connection, policed: PolicedCollection) -> RetentionPlan:
        found = _candidates(connection, policed.row_id, policed.policy)
        candidates = [candidate for candidate, _ in found]
        doomed = doomed_versions(policed.policy, candidates, self._clock.now_ms())
        return RetentionPlan(policed, doomed, {candidate.version_id: etag for candidate, etag in found})

    async def count(self, policed: PolicedCollection) -> int:
        """Returns how many committed versions a collection holds."""
        wanted = select(func.count()).select_from(version)
        held = wanted.where(version.c.collection_id == policed.row_id, version.c.state == VersionState.COMMITTED.value)
        return await self._database.read(lambda connection: int(connection.execute(held).scalar_one()))

    async def delete(self, plan: RetentionPlan, version_ids: Set[str]) -> list[Doomed]:
        """Deletes those of some versions that go by the policy that is in force by now; returns them.

        To decide about a large collection takes a second, in which nobody could write: as long as nothing has changed the plan
        counts, and only links and protected aliases are looked for.

        Args:
            plan: made before.
            version_ids: some of its versions.
        """
        return await self._database.write(partial(self._delete, plan=plan, version_ids=version_ids))

    def _delete(self, connection: Connection, plan: RetentionPlan, version_ids: Set[str]) -> list[Doomed]:
        lock_versions(connection, sorted(version_ids))
        row = connection.execute(_SEQUENCES.where(collection.c.id == plan.policed.row_id)).first()
        if row is None:
            return []
        policed = _policed(row)
        if policed == plan.policed and _is_as_planned(connection, plan):
            held = frozenset(connection.execute(_HELD, {"version_ids": list(version_ids)}).scalars())
            doomed = [one for one in plan.doomed if one.version.version_id in version_ids - held]
        else:
            doomed = [one for one in self._plan(connection, policed).doomed if one.version.version_id in version_ids]
        for one in doomed:
            delete_version(connection, one.version.version_id, self._ids, self._clock.now_ms())
            write_entry(connection, self._entry(policed, one))
        return doomed

    def _entry(self, policed: PolicedCollection, doomed: Doomed) -> AuditEntry:
        gone, name = doomed.version, policed.name
        return AuditEntry(
            at_ms=self._clock.now_ms(),
            token_id=None,
            token_name=ACTOR,
            peer="",
            method=METHOD,
            entity=name.entity,
            project=name.project,
            object=f"collection={name.name} version_id={gone.version_id} version=v{gone.version_index} "
            f"rule={doomed.reason.value} policy_of={policed.source.value}",
            outcome="OK",
        )


def _get(connection: Connection, place: CollectionName) -> RetentionRecord:
    row = _find(connection, place)
    if not place.name:
        text = row.retention_json
        return RetentionRecord(_read(text), RetentionSource.PROJECT if text else RetentionSource.NONE)
    text, source = _in_force(row)
    return RetentionRecord(_read(text), source)


def _read(text: str | None) -> RetentionPolicy | None:
    return None if text is None else parse_policy(text)


def _in_force(row: AnyRow) -> tuple[str | None, RetentionSource]:
    if row.retention_json is not None:
        return row.retention_json, RetentionSource.COLLECTION
    return row.project_json, RetentionSource.NONE if row.project_json is None else RetentionSource.PROJECT


def _find(connection: Connection, place: CollectionName) -> AnyRow:
    """Returns the row of a project, or of a collection with its project's policy."""
    named = {"entity": place.entity, "project": place.project}
    statement = _POLICED.where(*_IN_PROJECT, collection.c.name == place.name) if place.name else _OF_PROJECT
    row = connection.execute(statement, named).first()
    if row is None:
        raise not_found(f"Artifact {place}" if place.name else f"Project {place.entity}/{place.project}")
    return row


def _checked(connection: Connection, place: CollectionName) -> AnyRow:
    row = _find(connection, place)
    holds_links = row.kind == CollectionKind.PORTFOLIO if place.name else row.is_registry
    if holds_links:
        raise RegistryError(
            Reason.KIND_MISMATCH,
            f"{place.entity}/{place.project}{'/' if place.name else ''}{place.name} holds links, which are unlinked and not "
            "deleted; retention is for what versions are logged into.",
        )
    return row


def _lock(connection: Connection, place: CollectionName) -> tuple[Any, int]:
    """Returns the table and the row that hold the policy of a place, locked."""
    row = _checked(connection, place)
    if place.name:
        lock_collections(connection, [row.id])
        return collection, row.id
    lock_project(connection, row.id)
    return project, row.id


def _policed(row: AnyRow, instead: RetentionPolicy | None = None) -> PolicedCollection:
    text, source = _in_force(row)
    policy = instead or _read(text) or RetentionPolicy()
    return PolicedCollection(row.id, CollectionName(row.entity, row.project, row.name), policy, source)


def _is_as_planned(connection: Connection, plan: RetentionPlan) -> bool:
    """Tells whether no version has come, gone or changed since, but for those that have gone by the plan."""
    now = {row.id: row.etag for row in connection.execute(_ETAGS, {"row_id": plan.policed.row_id})}
    if not now.items() <= plan.etags.items():
        return False
    return plan.etags.keys() - now.keys() <= {one.version.version_id for one in plan.doomed}


def _candidates(connection: Connection, row_id: int, policy: RetentionPolicy) -> list[tuple[Candidate, str]]:
    """Returns the versions of a collection with their etags."""
    wanted: Mapping[str, int] = {"row_id": row_id}
    rows = connection.execute(_with_scores(policy, connection.dialect.name), wanted).all()
    tags: dict[str, set[str]] = {}
    if policy.keep_tagged or policy.keep_tags:
        for version_id, tag in connection.execute(_TAGS, wanted):
            tags.setdefault(version_id, set()).add(tag)
    return [(_candidate(row, tags.get(row.id, ())), row.etag) for row in rows]


def _candidate(row: AnyRow, tags: Iterable[str]) -> Candidate:
    return Candidate(
        version_id=row.id,
        version_index=row.version_index,
        size_bytes=row.size_bytes,
        created_at_ms=row.created_at_ms,
        is_held=bool(row.is_held),
        is_aliased=bool(row.is_aliased),
        tags=frozenset(tags),
        scores=_scores(row[len(_CANDIDATES.selected_columns) :]),
    )


def _with_scores(policy: RetentionPolicy, dialect: str) -> Select[Any]:
    scores: list[ColumnElement[Any]] = [
        json_number(version.c.metadata_json, best.path, dialect).label(f"score_{position}")
        for position, best in enumerate(policy.keep_best)
    ]
    return _CANDIDATES.add_columns(*scores)


def _scores(values: Sequence[Any]) -> tuple[float | None, ...]:
    return tuple(None if value is None else float(value) for value in values)
