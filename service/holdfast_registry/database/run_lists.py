"""Lists of runs, by filters and in an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, String, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from holdfast_registry.database.database import Database
from holdfast_registry.database.filters import FieldSource, FilterCompiler, Several
from holdfast_registry.database.lineage import run_record_of
from holdfast_registry.database.paging import Listing, PageWish, fetch_page
from holdfast_registry.database.schema import run
from holdfast_registry.database.statements import find_project
from holdfast_registry.domain.filters import Filter
from holdfast_registry.domain.records import RunRecord

_UPDATED_AT_MS = func.coalesce(func.nullif(run.c.updated_at_ms, 0), run.c.created_at_ms)
_TEXTS = (run.c.display_name, run.c.run_group, run.c.job_type, run.c.tags_json, run.c.notes, run.c.state, run.c.host)


def _row_bytes() -> ColumnElement[int]:
    total: ColumnElement[int] = func.length(run.c.config_json)
    for column in _TEXTS:
        total = total + 4 * func.length(column)
    return total


_ROW_BYTES = _row_bytes()


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs of a project."""

    runs: list[RunRecord]
    next_token: str
    total_count: int


class RunListRepository:
    """Lists of runs; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, entity_name: str, project_name: str, wanted: Filter, page: PageWish) -> RunPage:
        """Returns one page of a project's runs, newest first unless asked otherwise; of an unknown project none.

        Raises:
            RegistryError: INVALID_FILTER: no such order.
        """

        def unit(connection: Connection) -> RunPage:
            project_id = find_project(connection, entity_name, project_name)
            dialect = connection.dialect.name
            compiled = FilterCompiler(run_sources(dialect), dialect).compile(wanted)
            statement = select(run).where(run.c.project_id == project_id, compiled)
            orders = {"created_at": run.c.created_at_ms, "updated_at": _UPDATED_AT_MS, "name": run.c.run_id}
            found = fetch_page(connection, Listing(statement, orders, "-created_at", run.c.id, _ROW_BYTES), page)
            records = [run_record_of(row, entity_name, project_name) for row in found.rows]
            return RunPage(records, found.next_token, found.total_count)

        return await self._database.read(unit)


def run_sources(dialect: str) -> Mapping[str, FieldSource]:
    """Returns what the fields of RUN_FIELDS are; a text that is empty was never said."""
    return {
        "name": run.c.run_id,
        "display_name": func.nullif(run.c.display_name, ""),
        "group": func.nullif(run.c.run_group, ""),
        "job_type": func.nullif(run.c.job_type, ""),
        "tag": _tags(dialect),
        "state": func.nullif(run.c.state, ""),
        "notes": func.nullif(run.c.notes, ""),
        "host": func.nullif(run.c.host, ""),
        "config": run.c.config_json,
        "created_at": run.c.created_at_ms,
        "updated_at": _UPDATED_AT_MS,
    }


def _tags(dialect: str) -> Several:
    listed = func.coalesce(func.nullif(run.c.tags_json, ""), "[]")
    if dialect == "sqlite":
        each = func.json_each(listed).table_valued("value", name="run_tag")
    else:
        each = func.jsonb_array_elements_text(cast(listed, JSONB)).table_valued("value", name="run_tag")
    return Several(cast(each.c.value, String), select(literal(1)).select_from(each))
