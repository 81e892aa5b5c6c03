"""Quotas of entities and projects, and what of them is used.

Use is counted from the rows that are there, so it is true after a crash, a collection of garbage or a repair.  A sum over many packs
takes a while, so a quota's row notes what is used at most: the last sum and all grants since; only when that leaves no room, or is
old, is there another sum.  Packs count from their grant on, so bytes are charged before they are written; two grants at once wait
for each other on the quota's row.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, insert, or_, select, update

from holdfast_registry.clock import Clock
from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import collection, entity, lease, pack, project, quota, token, version
from holdfast_registry.database.statements import AnyRow, ensure_entity, ensure_project, find_entity, find_project
from holdfast_registry.domain.access import Scope
from holdfast_registry.domain.quotas import PlacedQuota, Quota, QuotaChange, check_bytes, check_versions
from holdfast_registry.domain.records import PackState, VersionState
from holdfast_registry.errors import not_found

NOTED_FOR_MS = 3_600_000
"""An hour: a repair or a compaction adds packs that nobody was asked for, and takes others away."""
_COUNTED_PACKS = (PackState.UPLOADING.value, PackState.LIVE.value)
"""A pack that is doomed waits only for its readers; its bytes are the registry's affair."""

_ENTITY_BYTES = select(func.coalesce(func.sum(pack.c.size_bytes), 0)).where(
    pack.c.entity_id == bindparam("of_entity"), pack.c.state.in_(_COUNTED_PACKS)
)
_PROJECT_BYTES = _ENTITY_BYTES.where(pack.c.project_id == bindparam("of_project"))
_VERSIONS = select(func.count()).select_from(version).where(version.c.state == VersionState.COMMITTED.value)
_PROJECT_VERSIONS = _VERSIONS.where(
    version.c.collection_id.in_(select(collection.c.id).where(collection.c.project_id == bindparam("of_project")))
)
_ENTITY_VERSIONS = _VERSIONS.where(
    version.c.collection_id.in_(
        select(collection.c.id)
        .join(project, project.c.id == collection.c.project_id)
        .where(project.c.entity_id == bindparam("of_entity"))
    )
)
_NOTE = (
    update(quota)
    .where(quota.c.id == bindparam("row_id"))
    .values(bytes_noted=bindparam("bytes"), noted_at_ms=bindparam("at_ms"))
)
_QUOTAS = select(quota, entity.c.name.label("entity"), project.c.name.label("project")).join(
    entity, entity.c.id == quota.c.entity_id
)
# Of two that charge one quota at once the second waits here, and counts in its next statements what the first has added.
_LOCKED = (
    _QUOTAS.outerjoin(project, project.c.id == quota.c.project_id)
    .where(
        quota.c.entity_id == bindparam("of_entity"),
        or_(quota.c.project_id.is_(None), quota.c.project_id == bindparam("of_project")),
    )
    .order_by(quota.c.id)
    .with_for_update(of=quota, key_share=True)
)
_OF_ENTITY = (
    _QUOTAS.outerjoin(project, project.c.id == quota.c.project_id)
    .where(quota.c.entity_id == bindparam("of_entity"))
    .order_by(project.c.name)
)
_LIMITING = (
    _QUOTAS.outerjoin(project, project.c.id == quota.c.project_id)
    .where(or_(quota.c.bytes_max.is_not(None), quota.c.versions_max.is_not(None)))
    .order_by(quota.c.id)
    .limit(bindparam("count"))
)
_LOCK_ENTITY = select(entity.c.id).where(entity.c.id == bindparam("of_entity")).with_for_update(key_share=True)

PROJECT_OF_LEASE: Any = (
    select(collection.c.project_id)
    .join(version, version.c.collection_id == collection.c.id)
    .where(version.c.id == lease.c.version_id)
    .correlate(lease)
    .scalar_subquery()
)
"""The project of a lease, within a statement that selects the lease."""


def has_quota(entity_id: Any) -> Any:
    """Returns the column that says whether an entity has any quota, for statements that go by its row anyway."""
    return exists().where(quota.c.entity_id == entity_id)


RATE_OF_TOKEN: Any = (
    select(func.min(quota.c.requests_per_s))
    .join(entity, entity.c.id == quota.c.entity_id)
    .outerjoin(project, project.c.id == quota.c.project_id)
    .where(entity.c.name == token.c.entity, or_(quota.c.project_id.is_(None), project.c.name == token.c.project))
    .correlate(token)
    .scalar_subquery()
)
"""The tightest rate of where a token's scope lies, within a statement that selects the token; NULL: none."""


def charge_packs(connection: Connection, entity_id: int, project_id: int, wanted_bytes: int, now_ms: int) -> None:
    """Looks whether there is room for packs that are about to be granted, and for the version that they are for.

    Raises:
        RegistryError: QUOTA_EXCEEDED.
    """
    for row in _locked(connection, entity_id, project_id):
        if row.bytes_max is not None:
            _charge_bytes(connection, row, wanted_bytes, now_ms)
        if row.versions_max is not None:
            check_versions(_placed(connection, row, with_bytes=False))


def _charge_bytes(connection: Connection, row: AnyRow, wanted_bytes: int, now_ms: int) -> None:
    """Goes by what is noted while that leaves room, since it is never less than what is used; else by the sum."""
    noted_bytes, noted_at_ms = row.bytes_noted, row.noted_at_ms
    is_fresh = noted_at_ms is not None and 0 <= now_ms - noted_at_ms < NOTED_FOR_MS
    if not is_fresh or noted_bytes + wanted_bytes > row.bytes_max:
        placed = _placed(connection, row, with_versions=False)
        check_bytes(placed, wanted_bytes)
        noted_bytes, noted_at_ms = placed.bytes_used, now_ms
    connection.execute(_NOTE, {"row_id": row.id, "bytes": noted_bytes + wanted_bytes, "at_ms": noted_at_ms})


def charge_version(connection: Connection, entity_id: int, project_id: int) -> None:
    """Looks whether one more version may be committed.

    Raises:
        RegistryError: QUOTA_EXCEEDED.
    """
    for row in _locked(connection, entity_id, project_id):
        if row.versions_max is not None:
            check_versions(_placed(connection, row, with_bytes=False))


def _locked(connection: Connection, entity_id: int, project_id: int) -> list[AnyRow]:
    return list(connection.execute(_LOCKED, {"of_entity": entity_id, "of_project": project_id}))


def _placed(connection: Connection, row: AnyRow, *, with_bytes: bool = True, with_versions: bool = True) -> PlacedQuota:
    """Returns a quota with what is used of it, as far as that is wanted."""
    whole = row.project_id is None
    where = {"of_entity": row.entity_id} if whole else {"of_entity": row.entity_id, "of_project": row.project_id}
    used_bytes = connection.execute(_ENTITY_BYTES if whole else _PROJECT_BYTES, where).scalar_one() if with_bytes else 0
    versions = 0
    if with_versions:
        counted = _ENTITY_VERSIONS if whole else _PROJECT_VERSIONS
        key = "of_entity" if whole else "of_project"
        versions = connection.execute(counted, {key: where[key]}).scalar_one()
    limits = Quota(row.bytes_max, row.versions_max, row.requests_per_s)
    return PlacedQuota(Scope(row.entity, row.project or ""), limits, int(used_bytes), int(versions))


def read_quotas(connection: Connection, count: int) -> list[PlacedQuota]:
    """Returns the oldest quotas that limit bytes or versions, with what is used of them."""
    rows = connection.execute(_LIMITING, {"count": count}).all()
    return [
        _placed(connection, row, with_bytes=row.bytes_max is not None, with_versions=row.versions_max is not None)
        for row in rows
    ]


class QuotaRepository:
    """Sets and shows quotas."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def set(self, scope: Scope, change: QuotaChange) -> PlacedQuota:
        """Sets limits of an entity or a project, which is made when absent: a limit may be there before its first user."""

        def unit(connection: Connection) -> PlacedQuota:
            entity_id, project_id = self._ensure(connection, scope)
            # NULL is no key, so nothing else keeps two first limits of one entity apart.
            connection.execute(_LOCK_ENTITY, {"of_entity": entity_id})
            here = quota.c.entity_id == entity_id, quota.c.project_id.is_not_distinct_from(project_id)
            row_id = connection.execute(select(quota.c.id).where(*here)).scalar()
            if row_id is None:
                made = {"entity_id": entity_id, "project_id": project_id} | change.values()
                connection.execute(insert(quota), made)
            elif values := change.values():
                # Where there was no limit of bytes nothing was noted.
                connection.execute(
                    update(quota).where(*here).values(values | {"bytes_noted": None, "noted_at_ms": None})
                )
            connection.execute(quota.delete().where(*here, *_without_limits()))
            return _shown(connection, scope, entity_id, project_id)[0]

        return await self._database.write(unit)

    def _ensure(self, connection: Connection, scope: Scope) -> tuple[int, int | None]:
        now_ms = self._clock.now_ms()
        if scope.project:
            return ensure_project(connection, scope.entity, scope.project, now_ms)
        return ensure_entity(connection, scope.entity, now_ms), None

    async def get(self, scope: Scope) -> list[PlacedQuota]:
        """Returns the quota of a project, or that of an entity and then those of its projects that have any.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_find, scope=scope))


def _without_limits() -> tuple[Any, ...]:
    return tuple(quota.c[name].is_(None) for name in ("bytes_max", "versions_max", "requests_per_s"))


def _find(connection: Connection, scope: Scope) -> list[PlacedQuota]:
    entity_id = find_entity(connection, scope.entity)
    project_id = find_project(connection, scope.entity, scope.project) if scope.project else None
    if entity_id is None or (scope.project and project_id is None):
        raise not_found(f"{'Project' if scope.project else 'Entity'} {scope}")
    return _shown(connection, scope, entity_id, project_id)


def _shown(connection: Connection, scope: Scope, entity_id: int, project_id: int | None) -> list[PlacedQuota]:
    """Returns what is set for a place, with its use also where nothing is set."""
    rows = connection.execute(_OF_ENTITY, {"of_entity": entity_id}).all()
    found = [_placed(connection, row) for row in rows if project_id in (None, row.project_id)]
    own = next((placed for placed in found if placed.scope == scope), None)
    if own is None:
        own = _placed(connection, _NoQuota(entity_id, project_id, scope.entity, scope.project))
    return [own, *(placed for placed in found if placed.scope != scope)]


class _NoQuota:
    """Stands for the row that a place without limits does not have."""

    bytes_max = versions_max = requests_per_s = None

    def __init__(self, entity_id: int, project_id: int | None, entity_name: str, project_name: str) -> None:
        self.entity_id = entity_id
        self.project_id = project_id
        self.entity = entity_name
        self.project = project_name
