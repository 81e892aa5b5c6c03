"""The verifier beside the calls: it comes to every pack that is due, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from holdfast_registry.blobstore.store import StoreUnavailableError
from holdfast_registry.clock import SystemClock
from holdfast_registry.database.unread import Backlog, UnreadPack
from holdfast_registry.lifecycle import die_of_fsync
from holdfast_registry.pack_verifier import PackVerifier

UNREADABLE = 1


class Unread:
    """Packs 1 to 4 are due until they were read."""

    def __init__(self) -> None:
        self.rows = [1, 2, 3, 4]

    async def backlog(self) -> Backlog:
        return Backlog(len(self.rows), 0)

    async def due(self, _: float, count: int, after: int = 0) -> list[UnreadPack]:
        return [UnreadPack(row, b"p" * 16, 1, 10, "version") for row in self.rows if row > after][:count]

    async def note_read(self, row: int) -> None:
        self.rows.remove(row)


class Inspector:
    async def problem_of(self, pack: UnreadPack, _: object) -> str | None:
        if pack.row == UNREADABLE:
            raise StoreUnavailableError("GetObject failed")
        return None


class NobodyElse:
    @asynccontextmanager
    async def held(self, _: int) -> AsyncIterator[bool]:
        yield True


@pytest.mark.parametrize("at_once", [1, 3])
async def test_pack_that_cannot_be_read_keeps_no_other_from_it(at_once: int) -> None:
    unread = Unread()
    parts = (cast(Any, unread), cast(Any, Inspector()), cast(Any, None), cast(Any, NobodyElse()))
    verifier = PackVerifier(*parts, SystemClock(), die_of_fsync, at_once=at_once)
    with pytest.raises(StoreUnavailableError):
        await verifier.look()
    assert unread.rows == [UNREADABLE]
    assert verifier.load.waiting == 1
