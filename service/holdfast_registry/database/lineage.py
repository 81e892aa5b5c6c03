"""Runs, and which versions they logged and used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, bindparam, insert, select, text, update

from holdfast_registry.clock import Clock
from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import edge, entity, project, run, version
from holdfast_registry.database.statements import AnyRow, ensure_project, find_project, load_version
from holdfast_registry.domain.records import EdgeKind, RunRecord, VersionState
from holdfast_registry.domain.registries import check_working_project
from holdfast_registry.errors import invalid, not_found

_FIND_RUN = select(run).where(run.c.project_id == bindparam("project_id"), run.c.run_id == bindparam("run_id"))
_LOCK_RUN = _FIND_RUN.with_for_update(key_share=True)
_INSERT_RUN = insert(run).returning(run.c.id)
_ADD_EDGE = text(
    "INSERT INTO edge (version_id, run_id, kind, created_at_ms) VALUES (:version_id, :run_id, :kind, :now_ms) "
    "ON CONFLICT (version_id, run_id, kind) DO NOTHING"
)
_RUNS_OF_VERSION = (
    select(run, project.c.name.label("project"), entity.c.name.label("entity"))
    .join(edge, edge.c.run_id == run.c.id)
    .join(project, project.c.id == run.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(edge.c.version_id == bindparam("version_id"), edge.c.kind == bindparam("kind"))
    .order_by(edge.c.id)
)
_VERSIONS_OF_RUN = (
    select(edge.c.version_id)
    .join(version, version.c.id == edge.c.version_id)
    .where(
        edge.c.run_id == bindparam("run_id"),
        edge.c.kind == bindparam("kind"),
        version.c.state == VersionState.COMMITTED.value,
    )
    .order_by(edge.c.id)
)
_COMMITTED_AMONG = select(version.c.id).where(
    version.c.id.in_(bindparam("version_ids", expanding=True)), version.c.state == VersionState.COMMITTED.value
)
_CLEARABLE = {
    "display_name": "display_name",
    "group": "run_group",
    "job_type": "job_type",
    "tags": "tags_json",
    "notes": "notes",
}
"""Columns of the fields that a caller may empty."""
_RUNNING = "running"


def upsert_run(
    connection: Connection, wanted: RunRecord, now_ms: int, cleared: Sequence[str] = (), *, carried: bool = False
) -> int:
    """Makes a run or updates it; returns its row.  Fields that are empty leave what is stored, unless they are `cleared`.

    A run that is `carried` is told of along with what it logged or used, as it was then.  That may come long after the run's
    end was told, and then only fills what is not known.
    """
    check_working_project(wanted.project)
    _, project_id = ensure_project(connection, wanted.entity, wanted.project, now_ms)
    given = {
        "display_name": wanted.display_name,
        "run_group": wanted.group,
        "job_type": wanted.job_type,
        "config_json": wanted.config_json,
        "tags_json": json.dumps(wanted.tags) if wanted.tags else "",
        "notes": wanted.notes,
        "state": wanted.state,
        "host": wanted.host,
    }
    stored = connection.execute(_LOCK_RUN, {"project_id": project_id, "run_id": wanted.run_id}).first()
    if stored is None:
        values = {"project_id": project_id, "run_id": wanted.run_id}
        values |= {"created_at_ms": wanted.created_at_ms or now_ms, "updated_at_ms": now_ms}
        return int(connection.execute(_INSERT_RUN, given | values).scalar_one())
    if carried and _is_of_the_past(wanted, stored):
        given = {name: value for name, value in given.items() if not stored._mapping[name]}
    emptied = {_CLEARABLE[name] for name in cleared}
    changed: dict[str, object] = {
        name: value for name, value in given.items() if (value or name in emptied) and value != stored._mapping[name]
    }
    if changed:
        changed["updated_at_ms"] = now_ms
        connection.execute(update(run).where(run.c.id == stored.id).values(changed))
    return int(stored.id)


def _is_of_the_past(wanted: RunRecord, stored: AnyRow) -> bool:
    """Tells whether a record says "running" of a run that has ended since; one that began after that end was resumed."""
    ended = stored.state not in ("", _RUNNING)
    return wanted.state == _RUNNING and ended and wanted.created_at_ms <= stored.updated_at_ms


def add_edge(connection: Connection, version_id: str, run_row: int, kind: EdgeKind, now_ms: int) -> None:
    """Records what a run did with a version; once is enough."""
    connection.execute(_ADD_EDGE, {"version_id": version_id, "run_id": run_row, "kind": kind.value, "now_ms": now_ms})


@dataclass(frozen=True, slots=True)
class Use:
    """That a run used, or logged, a version."""

    run: RunRecord
    version_id: str
    kind: EdgeKind


class LineageRepository:
    """Runs and their edges; each method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def upsert_run(self, wanted: RunRecord, cleared: Sequence[str] = ()) -> RunRecord:
        """Makes or updates a run; returns what is stored now.

        Raises:
            RegistryError: INVALID_ARGUMENT: `cleared` names a field that cannot be emptied.
        """
        unknown = sorted(set(cleared) - _CLEARABLE.keys())
        if unknown:
            raise invalid(f"{', '.join(unknown)} of a run cannot be cleared; {', '.join(_CLEARABLE)} can.")

        def unit(connection: Connection) -> RunRecord:
            upsert_run(connection, wanted, self._clock.now_ms(), cleared)
            return _load_run(connection, wanted.entity, wanted.project, wanted.run_id)[1]

        return await self._database.write(unit)

    async def get_run(self, entity_name: str, project_name: str, run_id: str) -> RunRecord:
        """Returns a run.

        Raises:
            RegistryError: NOT_FOUND.
        """
        _, record = await self._database.read(
            partial(_load_run, entity_name=entity_name, project_name=project_name, run_id=run_id)
        )
        return record

    async def record_use(self, wanted: RunRecord, version_id: str, kind: EdgeKind = EdgeKind.USED) -> None:
        """Records that a run uses (or logged) a version; makes the run when absent.

        Raises:
            RegistryError: NOT_FOUND: no such version.
        """

        def unit(connection: Connection) -> None:
            _require_committed(connection, version_id)
            now_ms = self._clock.now_ms()
            run_row = upsert_run(connection, wanted, now_ms, carried=True)
            add_edge(connection, version_id, run_row, kind, now_ms)

        await self._database.write(unit)

    async def record_uses(self, uses: Sequence[Use]) -> list[str]:
        """Records many uses at once; makes runs that are absent.

        Returns:
            The ids of versions that are not there, each once; the uses of the others are recorded.
        """

        def unit(connection: Connection) -> list[str]:
            now_ms = self._clock.now_ms()
            ids = sorted({use.version_id for use in uses})
            known = set(connection.execute(_COMMITTED_AMONG, {"version_ids": ids}).scalars())
            rows: dict[RunRecord, int] = {}
            for use in uses:
                if use.version_id in known:
                    row = rows.get(use.run)
                    if row is None:
                        row = rows[use.run] = upsert_run(connection, use.run, now_ms, carried=True)
                    add_edge(connection, use.version_id, row, use.kind, now_ms)
            return [version_id for version_id in ids if version_id not in known]

        return await self._database.write(unit)

    async def runs_of_version(self, version_id: str, kind: EdgeKind) -> list[RunRecord]:
        """Returns the runs that logged or used a version, oldest first.

        Raises:
            RegistryError: NOT_FOUND.
        """

        def unit(connection: Connection) -> list[RunRecord]:
            _require_committed(connection, version_id)
            rows = connection.execute(_RUNS_OF_VERSION, {"version_id": version_id, "kind": kind.value})
            return [run_record_of(row, row.entity, row.project) for row in rows]

        return await self._database.read(unit)

    async def versions_of_run(self, entity_name: str, project_name: str, run_id: str, kind: EdgeKind) -> Sequence[str]:
        """Returns the ids of the committed versions that a run logged or used, oldest first; of an unknown run none."""

        def unit(connection: Connection) -> Sequence[str]:
            project_id = find_project(connection, entity_name, project_name)
            row = connection.execute(_FIND_RUN, {"project_id": project_id, "run_id": run_id}).first()
            if row is None:
                return []
            return connection.execute(_VERSIONS_OF_RUN, {"run_id": row.id, "kind": kind.value}).scalars().all()

        return await self._database.read(unit)


def _require_committed(connection: Connection, version_id: str) -> None:
    found = load_version(connection, version_id)
    if found is None or found.state is not VersionState.COMMITTED:
        raise not_found(f"Version {version_id[:64]!r}")


def _load_run(connection: Connection, entity_name: str, project_name: str, run_id: str) -> tuple[int, RunRecord]:
    project_id = find_project(connection, entity_name, project_name)
    row = connection.execute(_FIND_RUN, {"project_id": project_id, "run_id": run_id}).first()
    if row is None:
        raise not_found(f"Run {entity_name}/{project_name}/{run_id}")
    return row.id, run_record_of(row, entity_name, project_name)


def run_record_of(row: AnyRow, entity_name: str, project_name: str) -> RunRecord:
    """Returns what a row of `run` says."""
    return RunRecord(
        entity=entity_name,
        project=project_name,
        run_id=row.run_id,
        display_name=row.display_name,
        group=row.run_group,
        job_type=row.job_type,
        config_json=bytes(row.config_json),
        tags=tuple(json.loads(row.tags_json or "[]")),
        notes=row.notes,
        state=row.state,
        host=row.host,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms or row.created_at_ms,
    )
