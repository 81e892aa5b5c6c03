"""Sweep: goes over all rows of an entity's chunks in the order of their digests, and condemns, revives and deletes.

It reads beside the writer and decides from what it has read; each change is decided again in its transaction.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from holdfast_registry.database.chunks import PageRow
from holdfast_registry.database.gc_cycles import Cycle
from holdfast_registry.database.gc_sweep import Changes, GcSweepRepository, LivePacks
from holdfast_registry.domain.gc import GcWish, SweepStep, may_compact, may_doom, sweep_step
from holdfast_registry.domain.records import LeaseState, PackState
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.marks import MarkedDigests
from holdfast_registry.gc.report import GcReport

CHANGED_AT_ONCE = 5000
"""Rows of one transaction: some 50 ms in which no other writer comes through."""

Told = Callable[[], Awaitable[None]]
"""Is called now and then while work goes on."""


@dataclass(slots=True)
class PackUse:
    """How much of each LIVE pack is in use; rows that a later seal has taken elsewhere do not count."""

    packs: LivePacks
    positions: dict[int, int] = field(default_factory=dict)
    """Row → position in the columns."""
    live_bytes: array[int] = field(default_factory=lambda: array("q"))
    live_rows: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, packs: LivePacks) -> PackUse:
        """Starts with nothing in use."""
        count = len(packs.rows)
        zeros = array("q", bytes(8 * count))
        return cls(packs, {row: position for position, row in enumerate(packs.rows)}, zeros, zeros[:])

    def add(self, pack_row: int, stored_length: int) -> None:
        """Counts a row; one of a pack that was sealed since is nobody's business here."""
        position = self.positions.get(pack_row)
        if position is not None:
            self.live_bytes[position] += stored_length
            self.live_rows[position] += 1

    def unused(self) -> list[int]:
        """Returns the rows of packs that can be doomed."""
        return [
            row
            for position, row in enumerate(self.packs.rows)
            if may_doom(PackState.LIVE, LeaseState(self.packs.leases[position]), self.live_rows[position])
        ]

    def half_dead(self) -> list[int]:
        """Returns the positions of packs that are worth rewriting."""
        return [
            position
            for position, frames_bytes in enumerate(self.packs.frames_bytes)
            if may_compact(
                PackState.LIVE,
                LeaseState(self.packs.leases[position]),
                self.live_bytes[position],
                frames_bytes,
                unread=self.packs.rows[position] in self.packs.unread,
            )
        ]


@dataclass(slots=True)
class _Plan:
    condemn: list[bytes] = field(default_factory=list)
    revive: list[bytes] = field(default_factory=list)
    delete: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Digest → pack row and stored length."""
    condemned_bytes: int = 0
    waiting_bytes: int = 0

    def take_deleted(self, deleted: Sequence[bytes]) -> int:
        """Takes out what is gone; returns its bytes."""
        return sum(self.delete.pop(digest)[1] for digest in deleted)


class Sweeper:
    """Sweeps one entity after another."""

    def __init__(self, repository: GcSweepRepository, threads: FileThreads) -> None:
        self._repository = repository
        self._threads = threads

    async def sweep(
        self,
        cycle: Cycle | None,
        entity_id: int,
        marks: MarkedDigests,
        use: PackUse,
        sealed_before_ms: int,
        wish: GcWish,
        report: GcReport,
        told: Told,
    ) -> None:
        """Looks at every row once.

        Args:
            cycle: that changes things; None: a dry run, which only counts.
            entity_id: whose chunks.
            marks: what must stay.
            use: is filled.
            sealed_before_ms: younger packs' chunks are not condemned.
            wish: how long to pause between transactions.
            report: is added to.
            told: is called now and then.

        Raises:
            CycleLostError: another collector has taken over.
        """
        after = b""
        while page := await self._repository.page(entity_id, after):
            after = page[-1][0]
            await told()
            deletable = 0 if cycle is None else cycle.deletable_stamp
            plan = await self._threads.run(_planned, page, marks, use, sealed_before_ms, deletable, report)
            report.bytes_condemned += plan.condemned_bytes
            report.bytes_waiting += plan.waiting_bytes
            if cycle is None:
                report.chunks_condemned += len(plan.condemn)
                continue
            for changes in _transactions(plan):
                changed = await self._repository.change(cycle, entity_id, changes)
                report.chunks_condemned += changed.condemned
                report.chunks_revived += changed.revived
                report.chunks_deleted += len(changed.deleted)
                report.bytes_deleted += plan.take_deleted(changed.deleted)
                if changes.condemn or changes.delete:
                    await asyncio.sleep(wish.pause_s)
            # A commit or a seal has revived these in the meantime: their packs are in use.
            for pack_row, stored_length in plan.delete.values():
                use.add(pack_row, stored_length)


def _planned(
    page: Sequence[PageRow],
    marks: MarkedDigests,
    use: PackUse,
    sealed_before_ms: int,
    deletable_stamp: int,
    report: GcReport,
) -> _Plan:
    plan = _Plan()
    marked = marks.among([row[0] for row in page])
    for digest, pack_row, stored_length, condemned in page:
        report.bytes_seen += stored_length
        position = use.positions.get(pack_row)
        step = sweep_step(
            marked=digest in marked,
            condemned_stamp=condemned,
            deletable_stamp=deletable_stamp,
            past_grace=position is not None and use.packs.sealed_at_ms[position] <= sealed_before_ms,
        )
        if step is SweepStep.DELETE:
            plan.delete[digest] = (pack_row, stored_length)
            continue
        use.add(pack_row, stored_length)
        if step is SweepStep.CONDEMN:
            plan.condemn.append(digest)
            plan.condemned_bytes += stored_length
        elif step is SweepStep.REVIVE:
            plan.revive.append(digest)
        elif condemned is not None:
            plan.waiting_bytes += stored_length
    report.chunks_seen += len(page)
    return plan


def _transactions(plan: _Plan) -> list[Changes]:
    changes = [Changes(revive=some) for some in _groups(plan.revive)]
    changes += [Changes(condemn=some) for some in _groups(plan.condemn)]
    return changes + [Changes(delete=some) for some in _groups(list(plan.delete))]


def _groups(digests: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [digests[first : first + CHANGED_AT_ONCE] for first in range(0, len(digests), CHANGED_AT_ONCE)]
