"""What fsck reads: one snapshot of the whole database, read-only, also beside a running registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, and_, func, not_, or_, select

from holdfast_registry.database.chunks import chunk_statements
from holdfast_registry.database.migrate import current_revision
from holdfast_registry.database.schema import (
    HEAD_REVISION,
    alias,
    chunk,
    collection,
    entity,
    gc_state,
    link,
    metadata,
    pack,
    project,
    version,
)
from holdfast_registry.database.scrub_status import ScrubStatus, read_scrub_status
from holdfast_registry.database.sqlite import integrity_problems
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.aliases import LATEST
from holdfast_registry.domain.records import CollectionKind, PackState, VersionState
from holdfast_registry.errors import StartError

ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class InspectedPack:
    """A pack's row."""

    row: int
    pack_id: bytes
    entity_id: int
    state: PackState
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InspectedChunk:
    """A chunk's row."""

    pack_row: int
    offset: int
    stored_length: int
    length: int
    codec: int


@dataclass(frozen=True, slots=True)
class InspectedVersion:
    """A committed version."""

    name: str
    entity_id: int
    manifest_root: bytes
    digest: bytes
    entry_count: int
    size_bytes: int


def check_revision(connection: Connection) -> None:
    """Refuses a database whose tables this software does not know.

    Raises:
        StartError: says which they are.
    """
    revision = current_revision(connection)
    if revision is None:
        raise StartError("There is no registry in this database; check database_url and --data-dir.")
    if revision != HEAD_REVISION:
        raise StartError(
            f"The database has schema {revision}, this software works with {HEAD_REVISION}; "
            "use the version of Holdfast that serves it."
        )


class Inspection:
    """Questions to one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def integrity_problems(self) -> list[str]:
        """Returns what is wrong with the file, or with the keys by which rows name each other."""
        if self._connection.dialect.name == "sqlite":
            return integrity_problems(self._connection)
        # A server looks after its pages itself; rows that its own checks were off for are found here.
        return [problem for table in metadata.sorted_tables for problem in self._dangling(table)]

    def _dangling(self, table: Table) -> Iterator[str]:
        for key in table.foreign_keys:
            parent = key.column.table.alias()
            there = select(parent.c[key.column.name]).where(parent.c[key.column.name] == key.parent).exists()
            wanted = select(func.count()).select_from(table).where(key.parent.is_not(None), not_(there))
            count = self._connection.execute(wanted).scalar_one()
            if count:
                yield f"{count} rows of {table.name} point at rows of {key.column.table.name} that are not there"

    def epochs(self) -> tuple[str, str]:
        """Returns the word by which the store is known, and the one that was about to be written there (see domain/gc.py)."""
        row = self._connection.execute(select(gc_state.c.epoch, gc_state.c.announced_epoch)).first()
        return ("", "") if row is None else (row.epoch, row.announced_epoch)

    def scrub_status(self) -> ScrubStatus:
        """Returns what the scrub has come to."""
        return read_scrub_status(self._connection)

    def packs(self) -> list[InspectedPack]:
        """Returns all packs."""
        rows = self._connection.execute(
            select(pack.c.id, pack.c.pack_id, pack.c.entity_id, pack.c.state, pack.c.size_bytes).order_by(pack.c.id)
        )
        return [
            InspectedPack(row.id, bytes(row.pack_id), row.entity_id, PackState(row.state), row.size_bytes)
            for row in rows
        ]

    def chunk_counts(self) -> dict[int, int]:
        """Returns row of pack → number of chunks that are read from it."""
        rows = self._connection.execute(select(chunk.c.pack, func.count()).group_by(chunk.c.pack))
        return {row[0]: row[1] for row in rows}

    def chunks_of_packs(self, pack_rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        """Yields (row of pack, entity, digest) of the chunks that are read from these packs; scans all chunks."""
        for first in range(0, len(pack_rows), ROWS_AT_ONCE):
            some = pack_rows[first : first + ROWS_AT_ONCE]
            rows = self._connection.execute(
                select(chunk.c.pack, chunk.c.entity_id, chunk.c.digest).where(chunk.c.pack.in_(some))
            )
            yield from ((row[0], row[1], bytes(row[2])) for row in rows)

    def chunks(self, entity_id: int, digests: Sequence[bytes]) -> dict[bytes, InspectedChunk]:
        """Returns digest → row of the chunks that have one."""
        found = chunk_statements(self._connection).select_places(self._connection, entity_id, digests)
        return {digest: InspectedChunk(*row[1:]) for digest, row in found.items()}

    def versions(self) -> list[InspectedVersion]:
        """Returns all committed versions, those that share most next to each other."""
        rows = self._connection.execute(
            select(
                version.c.version_index,
                version.c.manifest_root,
                version.c.digest,
                version.c.entry_count,
                version.c.size_bytes,
                collection.c.name.label("collection"),
                project.c.name.label("project"),
                project.c.entity_id,
                entity.c.name.label("entity"),
            )
            .join(collection, collection.c.id == version.c.collection_id)
            .join(project, project.c.id == collection.c.project_id)
            .join(entity, entity.c.id == project.c.entity_id)
            .where(version.c.state == VersionState.COMMITTED.value)
            .order_by(version.c.collection_id, version.c.version_index)
        )
        return [_inspected_version(row) for row in rows]

    def collection_problems(self) -> list[tuple[str, str]]:
        """Returns (collection, problem) for numbers with gaps and for a `latest` that is not the highest."""
        numbered = (
            select(
                version.c.collection_id, func.count().label("numbers"), func.max(version.c.version_index).label("top")
            )
            .where(version.c.version_index.is_not(None))
            .group_by(version.c.collection_id)
            .subquery()
        )
        highest = (
            select(version.c.id)
            .where(version.c.collection_id == collection.c.id, version.c.state == VersionState.COMMITTED.value)
            .order_by(version.c.version_index.desc())
            .limit(1)
            .scalar_subquery()
        )
        named = (
            select(alias.c.version_id)
            .where(alias.c.collection_id == collection.c.id, alias.c.name == LATEST)
            .scalar_subquery()
        )
        rows = self._connection.execute(
            select(
                collection.c.name,
                project.c.name.label("project"),
                entity.c.name.label("entity"),
                collection.c.next_version_index,
                collection.c.latest_version_id,
                func.coalesce(numbered.c.numbers, 0).label("numbers"),
                func.coalesce(numbered.c.top, -1).label("top"),
                highest.label("highest"),
                named.label("named"),
            )
            .join(project, project.c.id == collection.c.project_id)
            .join(entity, entity.c.id == project.c.entity_id)
            .outerjoin(numbered, numbered.c.collection_id == collection.c.id)
            .where(collection.c.kind != CollectionKind.PORTFOLIO.value)
        )
        return [(f"{row.entity}/{row.project}/{row.name}", problem) for row in rows for problem in _problems_of(row)]

    def portfolio_problems(self) -> list[tuple[str, str]]:
        """Returns (portfolio, problem) for links that show nothing, and for a `latest` that is not the highest link."""
        highest = (
            select(link.c.version_id)
            .where(link.c.collection_id == collection.c.id)
            .order_by(link.c.version_index.desc())
            .limit(1)
            .scalar_subquery()
        )
        named = (
            select(alias.c.version_id)
            .where(alias.c.collection_id == collection.c.id, alias.c.name == LATEST)
            .scalar_subquery()
        )
        top = select(func.max(link.c.version_index)).where(link.c.collection_id == collection.c.id).scalar_subquery()
        hidden = (
            select(func.count())
            .select_from(link)
            .join(version, version.c.id == link.c.version_id)
            .where(link.c.collection_id == collection.c.id, version.c.state != VersionState.COMMITTED.value)
            .scalar_subquery()
        )
        rows = self._connection.execute(
            select(
                collection.c.name,
                project.c.name.label("project"),
                entity.c.name.label("entity"),
                collection.c.next_version_index,
                collection.c.latest_version_id,
                func.coalesce(top, -1).label("top"),
                highest.label("highest"),
                named.label("named"),
                hidden.label("hidden"),
            )
            .join(project, project.c.id == collection.c.project_id)
            .join(entity, entity.c.id == project.c.entity_id)
            .where(collection.c.kind == CollectionKind.PORTFOLIO.value)
        )
        return [
            (f"{row.entity}/{row.project}/{row.name}", problem)
            for row in rows
            for problem in _problems_of_portfolio(row)
        ]

    def stray_names(self) -> list[tuple[str, str]]:
        """Returns (collection, problem) for aliases and links at a place where they name nothing."""
        homeless = (
            select(link.c.id)
            .where(link.c.collection_id == alias.c.collection_id, link.c.version_id == alias.c.version_id)
            .exists()
        )
        aliases = (
            select(alias.c.name.label("alias"), collection.c.name)
            .join(version, version.c.id == alias.c.version_id)
            .join(collection, collection.c.id == alias.c.collection_id)
            .where(
                or_(
                    version.c.state != VersionState.COMMITTED.value,
                    and_(version.c.collection_id != alias.c.collection_id, not_(homeless)),
                )
            )
        )
        links = (
            select(link.c.id, collection.c.name)
            .join(collection, collection.c.id == link.c.collection_id)
            .where(collection.c.kind != CollectionKind.PORTFOLIO.value)
        )
        found = [(row.name, f"alias {row.alias!r} names no version of it") for row in self._connection.execute(aliases)]
        found += [(row.name, f"link {row.id} is in no portfolio") for row in self._connection.execute(links)]
        return found


def _problems_of_portfolio(row: AnyRow) -> Iterator[str]:
    if row.top >= row.next_version_index:
        yield f"a link has number v{row.top}, the next would be v{row.next_version_index}"
    if not row.latest_version_id == row.highest == row.named:
        yield "`latest` is not at the highest link"
    if row.hidden:
        yield f"{row.hidden} of its links are to versions that are not committed"


def _problems_of(row: AnyRow) -> Iterator[str]:
    if not row.numbers == row.top + 1 == row.next_version_index:
        yield f"{row.numbers} versions have numbers up to v{row.top}, the next would be v{row.next_version_index}"
    if not row.latest_version_id == row.highest == row.named:
        yield "`latest` is not at the highest committed version"


def _inspected_version(row: AnyRow) -> InspectedVersion:
    return InspectedVersion(
        name=f"{row.entity}/{row.project}/{row.collection}:v{row.version_index}",
        entity_id=row.entity_id,
        manifest_root=bytes(row.manifest_root or b""),
        digest=bytes(row.digest or b""),
        entry_count=row.entry_count,
        size_bytes=row.size_bytes,
    )
