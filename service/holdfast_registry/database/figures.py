"""What the whole registry holds, in figures for metrics; asked beside the calls, now and then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from holdfast_registry.clock import Clock
from holdfast_registry.database.database import Database
from holdfast_registry.database.quotas import read_quotas
from holdfast_registry.database.schema import lease, pack, version
from holdfast_registry.database.scrub_status import ScrubStatus, read_scrub_status
from holdfast_registry.domain.quotas import PlacedQuota
from holdfast_registry.domain.records import LeaseState, PackState, VersionState

QUOTAS_SHOWN_MAX = 100
"""Each is up to four time series, and a sum over the packs of its place."""

_PACKS = (
    select(pack.c.state, func.count(), func.sum(pack.c.size_bytes))
    # Of those that serve no more the ones whose object is there: it once served, and was not removed yet.
    .where(
        or_(
            pack.c.state != PackState.DOOMED.value,
            and_(pack.c.sealed_at_ms.is_not(None), pack.c.removed_at_ms.is_(None)),
        )
    )
    .group_by(pack.c.state)
)
_VERSIONS = select(version.c.state, func.count(), func.sum(version.c.size_bytes)).group_by(version.c.state)
_LEASES = select(func.count(), func.count().filter(lease.c.expires_at_ms <= bindparam("now_ms"))).where(
    lease.c.state == LeaseState.ACTIVE.value
)


@dataclass(frozen=True, slots=True)
class Amount:
    """How many, and how much."""

    count: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StoredFigures:
    """The same for every registry over one database."""

    packs: Mapping[PackState, Amount]
    """Of the doomed ones those whose object is still there."""
    versions: Mapping[VersionState, Amount]
    """Their size is that of their files, whoever else has the same bytes."""
    leases_active: int
    leases_overdue: int
    """Their time is over, and maintenance has not ended them yet."""
    scrub: ScrubStatus
    quotas: Sequence[PlacedQuota]
    """Those that limit bytes or versions, `QUOTAS_SHOWN_MAX` at most; what is not limited is not counted."""

    @property
    def stored_bytes(self) -> int:
        """What the store holds of packs that serve or are still to go."""
        return sum(amount.size_bytes for state, amount in self.packs.items() if state is not PackState.UPLOADING)

    @property
    def logical_bytes(self) -> int:
        """What the committed versions would take without deduplication and compression."""
        return self.versions.get(VersionState.COMMITTED, Amount()).size_bytes


class FiguresRepository:
    """Reads them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def stored(self) -> StoredFigures:
        """Counts; goes over the rows of all packs and versions, so it is not to be asked often."""
        now_ms = self._clock.now_ms()

        def unit(connection: Connection) -> StoredFigures:
            packs = {PackState(row[0]): Amount(row[1], int(row[2] or 0)) for row in connection.execute(_PACKS)}
            versions = {VersionState(row[0]): Amount(row[1], int(row[2] or 0)) for row in connection.execute(_VERSIONS)}
            leases = connection.execute(_LEASES, {"now_ms": now_ms}).one()
            quotas = read_quotas(connection, QUOTAS_SHOWN_MAX)
            return StoredFigures(packs, versions, leases[0], leases[1], read_scrub_status(connection), quotas)

        return await self._database.read(unit)
