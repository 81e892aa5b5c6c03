"""Collections: what a project holds; each method one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, func, select

from holdfast_registry.database.schema import collection, entity, project, version
from holdfast_registry.database.sqlite import SqliteDatabase
from holdfast_registry.database.statements import AnyRow, find_project
from holdfast_registry.domain.records import CollectionName, CollectionRecord, VersionState
from holdfast_registry.errors import not_found

_counted = version.alias()
_COUNT = (
    select(func.count())
    .select_from(_counted)
    .where(_counted.c.collection_id == collection.c.id, _counted.c.state == VersionState.COMMITTED.value)
    .scalar_subquery()
)
_COLLECTIONS = (
    select(
        collection,
        _COUNT.label("version_count"),
        version.c.version_index.label("latest_index"),
        version.c.size_bytes.label("latest_size_bytes"),
    )
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .outerjoin(version, version.c.id == collection.c.latest_version_id)
)


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """Some collections of a project, by name."""

    collections: list[CollectionRecord]
    has_more: bool
    total_count: int


class CatalogueRepository:
    """Collections."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def get(self, name: CollectionName) -> CollectionRecord:
        """Returns one collection.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get, name=name))

    async def list(
        self, entity_name: str, project_name: str, type_name: str, *, after_name: str, size: int
    ) -> CollectionPage:
        """Returns one page of a project's collections; of an unknown project none."""
        return await self._database.read(
            partial(
                _list,
                entity_name=entity_name,
                project_name=project_name,
                type_name=type_name,
                after_name=after_name,
                size=size,
            )
        )


def _get(connection: Connection, name: CollectionName) -> CollectionRecord:
    row = connection.execute(
        _COLLECTIONS.where(entity.c.name == name.entity, project.c.name == name.project, collection.c.name == name.name)
    ).first()
    if row is None:
        raise not_found(f"Artifact {name}")
    return _record(row, name.entity, name.project)


def _list(
    connection: Connection, *, entity_name: str, project_name: str, type_name: str, after_name: str, size: int
) -> CollectionPage:
    conditions = [collection.c.project_id == find_project(connection, entity_name, project_name)]
    if type_name:
        conditions.append(collection.c.type == type_name)
    total = connection.execute(select(func.count()).select_from(collection).where(*conditions)).scalar_one()
    rows = connection.execute(
        _COLLECTIONS.where(*conditions, collection.c.name > after_name).order_by(collection.c.name).limit(size + 1)
    ).all()
    records = [_record(row, entity_name, project_name) for row in rows[:size]]
    return CollectionPage(records, len(rows) > size, total)


def _record(row: AnyRow, entity_name: str, project_name: str) -> CollectionRecord:
    return CollectionRecord(
        collection_id=row.public_id,
        name=CollectionName(entity_name, project_name, row.name),
        type=row.type,
        description=row.description,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        version_count=row.version_count,
        latest_version_index=-1 if row.latest_index is None else row.latest_index,
        latest_size_bytes=row.latest_size_bytes or 0,
    )
