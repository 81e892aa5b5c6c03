"""Projects, and registries among them; each method one transaction."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, func, select, update

from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.database.collection_rows import project_sources
from holdfast_registry.database.database import Database
from holdfast_registry.database.deletion import delete_portfolio
from holdfast_registry.database.filters import FilterCompiler
from holdfast_registry.database.locks import lock_project
from holdfast_registry.database.paging import Listing, PageWish, fetch_page
from holdfast_registry.database.schema import collection, entity, project, protected_alias
from holdfast_registry.database.statements import (
    AnyRow,
    Once,
    ensure_project,
    find_project,
    find_response,
    remember_response,
    ttl_columns,
    ttl_of_row,
)
from holdfast_registry.domain.filters import Filter
from holdfast_registry.domain.records import ProjectRecord
from holdfast_registry.domain.registries import changed_types
from holdfast_registry.domain.ttl import Ttl
from holdfast_registry.errors import RegistryError, not_found

_PROJECT_ID = re.compile("([0-9]{1,18})-([0-9]{1,18})")
_PROJECTS = select(project, entity.c.name.label("entity")).join(entity, entity.c.id == project.c.entity_id)


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """Some projects of an entity."""

    projects: list[ProjectRecord]
    next_token: str
    total_count: int


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project that is to be made; everything is checked already."""

    entity: str
    name: str
    description: str | None
    ttl: Ttl
    visibility: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What is to be changed; None, or an empty text, leaves a field as it is."""

    project_id: str
    new_name: str
    sets_description: bool
    description: str | None
    ttl: Ttl | None
    visibility: str
    types_to_add: tuple[str, ...]
    allow_all_types: bool | None

    @property
    def is_of_registries(self) -> bool:
        """Whether it changes what plain projects do not have."""
        return bool(self.new_name or self.visibility or self.types_to_add or self.allow_all_types is not None)


class ProjectRepository:
    """Projects and registries."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, entity_name: str, name: str) -> ProjectRecord:
        """Returns one project.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get, entity_name=entity_name, name=name))

    async def list(self, entity_name: str, wanted: Filter, page: PageWish, *, only_registries: bool) -> ProjectPage:
        """Returns one page of an entity's projects, by name unless asked otherwise.

        Raises:
            RegistryError: INVALID_FILTER: no such order.
        """

        def unit(connection: Connection) -> ProjectPage:
            sources = project_sources(project)
            compiler = FilterCompiler(sources, connection.dialect.name)
            statement = _PROJECTS.where(entity.c.name == entity_name, compiler.compile(wanted))
            if only_registries:
                statement = statement.where(project.c.is_registry)
            orders = {
                "name": project.c.name,
                "created_at": project.c.created_at_ms,
                "updated_at": func.coalesce(func.nullif(project.c.updated_at_ms, 0), project.c.created_at_ms),
            }
            row_bytes = 4 * func.coalesce(func.length(project.c.description), 0) + func.length(project.c.types_json)
            listing = Listing(statement, orders, "+name", project.c.id, row_bytes)
            found = fetch_page(connection, listing, page)
            return ProjectPage([_record(row) for row in found.rows], found.next_token, found.total_count)

        return await self._database.read(unit)

    async def create(self, wanted: NewProject, once: Once[ProjectRecord]) -> bytes:
        """Makes a project or registry.

        Raises:
            RegistryError: ALREADY_EXISTS, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            if (answered := find_response(connection, once)) is not None:
                return answered
            if find_project(connection, wanted.entity, wanted.name) is not None:
                raise _exists(wanted.entity, wanted.name)
            now_ms = self._clock.now_ms()
            _, row_id = ensure_project(connection, wanted.entity, wanted.name, now_ms)
            values = ttl_columns(wanted.ttl) | {
                "description": wanted.description,
                "visibility": wanted.visibility,
                "types_json": json.dumps(wanted.types),
            }
            connection.execute(update(project).where(project.c.id == row_id).values(values))
            return remember_response(connection, once, _get(connection, wanted.entity, wanted.name), now_ms)

        return await self._database.write(unit)

    async def update(self, change: ProjectChange, once: Once[ProjectRecord]) -> bytes:
        """Changes a project or registry.

        Raises:
            RegistryError: NOT_FOUND, ALREADY_EXISTS, KIND_MISMATCH, INVALID_ARGUMENT, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            _lock(connection, change.project_id)
            if (answered := find_response(connection, once)) is not None:
                return answered
            row = _row_by_id(connection, change.project_id)
            if change.is_of_registries:
                _require_registry(row)
            now_ms = self._clock.now_ms()
            values = _changed_columns(connection, row, change) | {"updated_at_ms": now_ms}
            connection.execute(update(project).where(project.c.id == row.id).values(values))
            return remember_response(connection, once, _record(_row_by_id(connection, change.project_id)), now_ms)

        return await self._database.write(unit)

    async def delete_registry(self, project_id: str, once: Once[None]) -> bytes:
        """Deletes a registry with its portfolios; the linked versions stay.

        Raises:
            RegistryError: NOT_FOUND, KIND_MISMATCH, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            _lock(connection, project_id, with_collections=True)
            if (answered := find_response(connection, once)) is not None:
                return answered
            row = _row_by_id(connection, project_id)
            _require_registry(row)
            portfolios = select(collection.c.id).where(collection.c.project_id == row.id)
            for portfolio_id in connection.execute(portfolios).scalars().all():
                delete_portfolio(connection, portfolio_id)
            connection.execute(protected_alias.delete().where(protected_alias.c.project_id == row.id))
            connection.execute(project.delete().where(project.c.id == row.id))
            return remember_response(connection, once, None, self._clock.now_ms())

        return await self._database.write(unit)


def _get(connection: Connection, entity_name: str, name: str) -> ProjectRecord:
    row = connection.execute(_PROJECTS.where(entity.c.name == entity_name, project.c.name == name)).first()
    if row is None:
        raise not_found(f"Project {entity_name}/{name}")
    return _record(row)


def _row_by_id(connection: Connection, project_id: str) -> AnyRow:
    matched = _PROJECT_ID.fullmatch(project_id)
    if matched is not None:
        row_id, created_at_ms = map(int, matched.groups())
        found = _PROJECTS.where(project.c.id == row_id, project.c.created_at_ms == created_at_ms)
        if (row := connection.execute(found).first()) is not None:
            return row
    raise not_found(f"Project {project_id[:64]!r}")


def _lock(connection: Connection, project_id: str, *, with_collections: bool = False) -> None:
    if (matched := _PROJECT_ID.fullmatch(project_id)) is not None:
        lock_project(connection, int(matched[1]), with_collections=with_collections)


def _record(row: AnyRow) -> ProjectRecord:
    return ProjectRecord(
        # Row numbers of what was deleted may be given again; together with the time they are not.
        project_id=f"{row.id}-{row.created_at_ms}",
        entity=row.entity,
        name=row.name,
        description=row.description,
        ttl=ttl_of_row(row),
        is_registry=row.is_registry,
        visibility=row.visibility,
        types=tuple(json.loads(row.types_json)),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms or row.created_at_ms,
    )


def _changed_columns(connection: Connection, row: AnyRow, change: ProjectChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if change.new_name and change.new_name != row.name:
        if find_project(connection, row.entity, change.new_name) is not None:
            raise _exists(row.entity, change.new_name)
        values["name"] = change.new_name
    if change.sets_description:
        values["description"] = change.description
    if change.ttl is not None:
        values |= ttl_columns(change.ttl)
    if change.visibility:
        values["visibility"] = change.visibility
    if change.types_to_add or change.allow_all_types is not None:
        held = connection.execute(select(collection.c.type).where(collection.c.project_id == row.id)).scalars().all()
        stored = json.loads(row.types_json)
        types = changed_types(stored, held, change.types_to_add, allow_all=change.allow_all_types)
        values["types_json"] = json.dumps(types)
    return values


def _require_registry(row: AnyRow) -> None:
    if not row.is_registry:
        raise RegistryError(
            Reason.KIND_MISMATCH, f"{row.entity}/{row.name} is a project and no registry; only registries can do that."
        )


def _exists(entity_name: str, name: str) -> RegistryError:
    return RegistryError(Reason.ALREADY_EXISTS, f"A project {entity_name}/{name} exists already; choose another name.")
