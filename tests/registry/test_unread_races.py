"""Packs that nobody has read back, where two units meet: what one of them finds still holds when the other one has come between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.pack import read_index
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import RandomIds, SystemClock
from holdfast_registry.database.checked_manifest import CheckedManifest
from holdfast_registry.database.commits import Begun, CommitRepository, Committed, CommitWish, NotCommitted
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.gc_cycles import GcCycleRepository
from holdfast_registry.database.gc_sweep import Changes, GcSweepRepository
from holdfast_registry.database.packs import PackIntent, PackRepository
from holdfast_registry.database.parts import BeginWish
from holdfast_registry.database.postgresql import open_database
from holdfast_registry.database.scrubs import ScrubbedPack, ScrubRepository
from holdfast_registry.database.sqlite import SqliteDatabase
from holdfast_registry.database.statements import Once
from holdfast_registry.database.unread import UnreadPack, UnreadRepository
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.domain.ttl import Ttl
from holdfast_registry.domain.unread import DamagedFate
from holdfast_registry.errors import RegistryError
from holdfast_registry.gc.sweep import PackUse
from holdfast_registry.manifest_check import LeansOnUnread, ManifestChecker, MissingChunks
from registry.client import Content, content_of, new_request_id, pack_of

FILE = b"f" * 1000


def begun_version(begun: Begun) -> bytes:
    return f"{begun.version_id} {begun.lease.lease_id}".encode()


def committed_version(committed: Committed) -> bytes:
    return committed.version.version_id.encode()


@dataclass
class Upload:
    version_id: str
    lease_id: str

    def wish(self, content: Content) -> CommitWish:
        digest = bytes.fromhex(content.artifact_digest)
        return CommitWish(
            self.version_id, self.lease_id, digest, None, b"{}", (), (), None, None, use_after_commit=False, ttl=Ttl()
        )


@dataclass
class Chunks:
    """In the place of a store: what was brought, as long as it has a row."""

    packs: PackRepository
    brought: dict[bytes, bytes] = field(default_factory=dict)
    damaged: set[bytes] = field(default_factory=set)
    meanwhile: dict[bytes, Callable[[], None]] = field(default_factory=dict)
    """Happens when the chunk is read."""

    def read(self, entity_id: int, digests: Sequence[bytes]) -> list[bytes | None]:
        for digest in digests:
            self.meanwhile.pop(digest, lambda: None)()
        places = self.packs.places(entity_id, digests)
        if any(place is not None and digest in self.damaged for digest, place in zip(digests, places, strict=True)):
            raise RegistryError(Reason.STORE_DAMAGED, "its bytes are others")
        return [None if place is None else self.brought[digest] for digest, place in zip(digests, places, strict=True)]


class House:
    """A registry's database and what works on it, without packs."""

    def __init__(self, database: OpenDatabase) -> None:
        clock, ttl = SystemClock(), {"lease_ttl_s": 600, "part_lease_ttl_s": 600}
        self.packs = PackRepository(database, clock, **ttl)
        self.commits = CommitRepository(database, clock, RandomIds(), **ttl)
        self.unread = UnreadRepository(database, clock)
        self.scrubs = ScrubRepository(database, clock)
        self.cycles = GcCycleRepository(database, clock, alone=True)
        self.sweep = GcSweepRepository(database, clock)
        self.chunks = Chunks(self.packs)
        self.checker = ManifestChecker(self.chunks, self.packs)  # type: ignore[arg-type]
        self.entity_id = 0

    async def begin(self, collection: str) -> Upload:
        once = Once(new_request_id(), "BeginVersion", b"", begun_version)
        answer = await self.commits.begin(CollectionName("team", "p", collection), "dataset", once, BeginWish())
        self.entity_id = await asyncio.to_thread(self.packs.entity_id, "team") or 0
        return Upload(*answer.decode().split())

    async def bring(self, upload: Upload, chunks: Sequence[bytes], *, unread: bool) -> int:
        """Returns how many chunks are read from the new pack."""
        pack_id, data = pack_of(chunks)
        await self.packs.grant(upload.lease_id, [PackIntent(pack_id, len(data), len(chunks))])
        index = read_index(lambda at, count: data[at : at + count], len(data), pack_id=pack_id)
        self.chunks.brought |= {digest_of(chunk): chunk for chunk in chunks}
        live, _ = await self.packs.seal(upload.lease_id, index, unread=unread)
        return live

    async def check(self, upload: Upload, content: Content) -> CheckedManifest | MissingChunks | LeansOnUnread:
        once = Once(new_request_id(), "CommitVersion", b"", committed_version)
        wish = upload.wish(content)

        def check() -> CheckedManifest | MissingChunks | LeansOnUnread:
            pending = self.commits.prepare(wish, once)
            assert not isinstance(pending, bytes)
            return self.checker.check(pending, content.root_digest, wish.artifact_digest)

        return await asyncio.to_thread(check)

    async def commit(self, upload: Upload, content: Content, checked: CheckedManifest | None) -> object:
        once = Once(new_request_id(), "CommitVersion", b"", committed_version)
        return await self.commits.commit(upload.wish(content), checked, once)

    async def log(self, collection: str, content: Content, *, unread: bool) -> Upload:
        upload = await self.begin(collection)
        await self.bring(upload, content.chunks, unread=unread)
        checked = await self.check(upload, content)
        assert isinstance(checked, CheckedManifest)
        assert await self.commit(upload, content, checked) == upload.version_id.encode()
        return upload

    async def condemn(self, chunk: bytes) -> None:
        cycle = await self.cycles.begin()
        assert cycle is not None
        await self.sweep.change(cycle, self.entity_id, Changes(condemn=[digest_of(chunk)]))

    async def unread_packs(self) -> list[UnreadPack]:
        return await self.unread.due(0, 10)

    async def fate(self, damaged: UnreadPack) -> DamagedFate:
        return await self.unread.give_up(damaged, [row.digest for row in await self.scrubs.rows_in(damaged)])

    async def rows(self, chunks: Sequence[bytes]) -> list[bytes | None]:
        """In which pack each lies."""
        digests = [digest_of(chunk) for chunk in chunks]
        places = await asyncio.to_thread(self.packs.places, self.entity_id, digests)
        return [None if place is None else place.pack_id for place in places]


@pytest.fixture
async def house(own_database_url: str | None, tmp_path: Path) -> AsyncIterator[House]:
    path = tmp_path / "registry.sqlite3"
    database = SqliteDatabase(path, 2) if own_database_url is None else await open_database(own_database_url, 4)
    yield House(database)
    await database.aclose()


async def test_pack_that_is_sealed_during_a_check_is_read_before_the_commit(house: House) -> None:
    content = content_of({"f": FILE})
    one, other = await house.begin("one"), await house.begin("other")
    await house.bring(one, content.chunks[1:], unread=False)  # all but the file
    loop = asyncio.get_running_loop()

    def meanwhile() -> None:
        asyncio.run_coroutine_threadsafe(house.bring(other, [FILE], unread=True), loop).result()

    house.chunks.meanwhile[content.root_digest] = meanwhile
    checked = await house.check(one, content)
    assert isinstance(checked, LeansOnUnread)
    assert [pack.version_id for pack in checked.packs] == [other.version_id]


async def test_unread_pack_takes_no_chunk_away_from_a_version_that_names_it(house: House) -> None:
    # One that is committed between a mark and its sweep: its chunks are condemned, and revived by the next mark.
    content = content_of({"f": FILE})
    await house.log("one", content, unread=False)
    (before,) = await house.rows([FILE])
    await house.condemn(FILE)
    other = await house.begin("other")
    assert (await house.packs.find_missing(other.lease_id, [digest_of(FILE)])).flags == [True]
    assert await house.bring(other, [FILE, b"new"], unread=True) == 1
    assert (await house.rows([FILE])) == [before]
    assert (await house.packs.find_missing(other.lease_id, [digest_of(FILE)])).flags == [False]
    (damaged,) = await house.unread_packs()
    assert await house.fate(damaged) is DamagedFate.GIVE_UP
    assert await house.rows([FILE, b"new"]) == [before, None]


async def test_pack_that_one_registry_has_found_sound_is_not_given_up_by_another(house: House) -> None:
    one = await house.begin("one")
    await house.bring(one, [FILE], unread=True)
    (pack,) = await house.unread_packs()
    await house.unread.note_read(pack.row)
    assert await house.fate(pack) is DamagedFate.QUARANTINE, "others may go by it, so what is lost must be noted"
    assert await house.rows([FILE]) == [pack.pack_id]


async def test_pack_that_one_registry_has_given_up_is_nobodys_business_any_more(house: House) -> None:
    one = await house.begin("one")
    await house.bring(one, [FILE], unread=True)
    (pack,) = await house.unread_packs()
    assert await house.fate(pack) is DamagedFate.GIVE_UP
    assert await house.fate(pack) is DamagedFate.NOTHING
    await house.unread.note_read(pack.row)
    assert await house.rows([FILE]) == [None]
    assert not await house.unread_packs()
    with pytest.raises(RegistryError) as refused:
        await house.packs.grant(one.lease_id, [PackIntent(pack.pack_id, pack.size_bytes, 1)])
    assert refused.value.reason is Reason.PACK_ID_REUSED


async def test_lost_chunk_is_healed_only_when_the_pack_that_brings_it_again_was_read(house: House) -> None:
    content = content_of({"f": FILE})
    await house.log("one", content, unread=True)
    (damaged,) = await house.unread_packs()
    assert await house.fate(damaged) is DamagedFate.QUARANTINE
    await house.scrubs.quarantine(damaged, "flipped", 0, [digest_of(FILE)])
    other = await house.begin("other")
    assert await house.bring(other, [FILE], unread=True) == 1
    (healing,) = await house.unread_packs()
    assert await house.scrubs.forget_healed() == 0
    assert await house.fate(healing) is DamagedFate.GIVE_UP
    assert [chunk.digest for chunk in await house.scrubs.lost()] == [digest_of(FILE)], "nobody has forgotten it"
    await house.bring(other, [FILE], unread=True)
    (healing,) = await house.unread_packs()
    await house.unread.note_read(healing.row)
    assert await house.scrubs.forget_healed() == 1


async def test_no_op_over_a_version_that_was_committed_since_waits_for_its_packs(house: House) -> None:
    content = content_of({"f": FILE})
    upload = await house.begin("one")
    await house.log("one", content, unread=True)
    assert await house.commit(upload, content, None) is NotCommitted.RECHECK
    (pack,) = await house.unread_packs()
    await house.unread.note_read(pack.row)
    assert isinstance(await house.commit(upload, content, None), bytes)


async def test_no_op_over_a_hurt_version_takes_the_word_of_packs_that_were_read_only(house: House) -> None:
    content = content_of({"f": FILE})
    await house.log("one", content, unread=True)
    (damaged,) = await house.unread_packs()
    await house.scrubs.quarantine(damaged, "flipped", 0, [digest_of(FILE)])
    upload = await house.begin("one")
    await house.bring(upload, [FILE], unread=True)
    assert await house.commit(upload, content, None) is NotCommitted.RECHECK, "it was whole when that was checked"
    checked = await house.check(upload, content)
    assert isinstance(checked, CheckedManifest)
    assert await house.commit(upload, content, checked) is NotCommitted.RECHECK, "it was checked for a new version"


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("piece", ["root", "segment"])
async def test_damage_to_a_manifest_in_an_unread_pack_is_no_damage_to_the_store(
    house: House, piece: str, is_own: bool
) -> None:
    content = content_of({"f": FILE})
    one = await house.begin("one")
    bringer = one if is_own else await house.begin("other")
    await house.bring(bringer, content.chunks, unread=True)
    house.chunks.damaged.add(content.root_digest if piece == "root" else digest_of(content.chunks[1]))
    checked = await house.check(one, content)
    assert isinstance(checked, LeansOnUnread)
    assert [pack.version_id for pack in checked.packs] == [bringer.version_id]
    assert await house.fate(checked.packs[0]) is DamagedFate.GIVE_UP
    assert isinstance(await house.check(one, content), MissingChunks)


async def test_segment_that_goes_during_a_check_is_missing(house: House) -> None:
    content = content_of({"f": FILE})
    one, other = await house.begin("one"), await house.begin("other")
    segment = content.chunks[1]
    await house.bring(other, [segment, os.urandom(10)], unread=True)
    await house.bring(one, [FILE, content.root], unread=False)
    (pack,) = await house.unread_packs()
    loop = asyncio.get_running_loop()
    damaged = ScrubbedPack(pack.row, pack.pack_id, pack.entity_id, pack.size_bytes)

    def meanwhile() -> None:
        taken = house.scrubs.quarantine(damaged, "flipped", 0, [digest_of(segment)])
        asyncio.run_coroutine_threadsafe(taken, loop).result()

    house.chunks.meanwhile[digest_of(segment)] = meanwhile
    checked = await house.check(one, content)
    assert isinstance(checked, MissingChunks)
    assert checked.digests == [digest_of(segment)]


async def test_compaction_leaves_packs_alone_that_nobody_has_read(house: House) -> None:
    await house.log("one", content_of({"f": FILE}), unread=True)
    (pack,) = await house.unread_packs()

    async def half_dead() -> list[int]:
        use = PackUse.of(await house.sweep.live_packs(house.entity_id))
        use.add(pack.row, 1)
        return use.half_dead()

    assert await half_dead() == []
    await house.unread.note_read(pack.row)
    assert await half_dead() == [0]


async def test_chunk_of_an_unread_pack_is_there_for_its_own_upload_and_missing_for_others(house: House) -> None:
    one, other = await house.begin("one"), await house.begin("other")
    await house.bring(one, [FILE], unread=True)
    (pack,) = await house.unread_packs()
    own, others = [await house.packs.find_missing(each.lease_id, [digest_of(FILE)]) for each in (one, other)]
    assert (own.flags, own.unread) == ([False], ())
    assert (others.flags, others.unread) == ([True], (pack,)), "as long as nobody has read it"


async def test_commit_looks_again_when_its_pack_was_given_up_after_the_check(house: House) -> None:
    content = content_of({"f": FILE})
    one = await house.begin("one")
    await house.bring(one, content.chunks, unread=True)
    checked = await house.check(one, content)
    assert isinstance(checked, CheckedManifest)
    (pack,) = await house.unread_packs()
    assert await house.fate(pack) is DamagedFate.GIVE_UP
    assert await house.commit(one, content, checked) is NotCommitted.RECHECK


async def test_unread_pack_that_garbage_collection_gives_up_is_read_no_more(house: House) -> None:
    await house.log("one", content_of({"f": FILE}), unread=True)
    (pack,) = await house.unread_packs()
    cycle = await house.cycles.begin()
    assert cycle is not None
    assert await house.sweep.doom(cycle, [pack.row]) == 1
    assert not await house.unread_packs()
    assert await house.fate(pack) is DamagedFate.NOTHING
