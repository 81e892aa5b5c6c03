"""The scrub finds damage by itself, keeps it from readers and writers, names the versions that it hurts, and heals what it can."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.pack import read_index
from holdfast_registry.database.inspected import inspected_database
from holdfast_registry.database.scrub_status import ScrubStatus
from holdfastpb.registry.v1.pack_pb2 import GrantReadsRequest, LocateChunksRequest, ReadPackRequest
from registry.client import Client, content_of, reason_of
from registry.kept import PLACES, Kept, credentials, kept_at
from registry.processes import RegistryProcess, run_registry

ALWAYS = {"HOLDFAST_REGISTRY_SCRUB_INTERVAL_S": "0.1", "HOLDFAST_REGISTRY_SCRUB_BYTES_PER_S": "1000000000"}
PATIENCE_S = 60


@pytest.fixture(scope="module", params=PLACES)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    kept = kept_at(request, tmp_path_factory.mktemp("kept"))
    with credentials(kept):
        yield kept


@pytest.fixture(scope="module")
def process(kept: Kept) -> Iterator[RegistryProcess]:
    """A registry that scrubs all the time."""
    with kept.process(environment=ALWAYS) as process:
        yield process


@pytest.fixture
def client(process: RegistryProcess) -> Iterator[Client]:
    with Client(process.target) as client:
        yield client


def pads() -> dict[str, bytes]:
    """Files that make a pack too large for the registry's memory, from which it would be repaired."""
    return {f"pad{number:02}": os.urandom(60_000) for number in range(18)}


def status_of(kept: Kept) -> ScrubStatus:
    database = inspected_database(kept.settings.database_url, kept.data_dir)
    return database.look(lambda inspection: inspection.scrub_status())


def wait_for(kept: Kept, condition: Callable[[ScrubStatus], bool]) -> ScrubStatus:
    deadline = time.monotonic() + PATIENCE_S
    while not condition(status := status_of(kept)):
        assert time.monotonic() < deadline, status
        threading.Event().wait(0.1)
    return status


def wait_for_rounds(kept: Kept, count: int) -> ScrubStatus:
    """As many whole rounds as begin from now on."""
    now = status_of(kept).round
    first = 0 if now is None else now.row
    return wait_for(kept, lambda status: status.round is not None and status.round.row > first + count)


def has(pack_id: bytes) -> Callable[[ScrubStatus], bool]:
    return lambda status: any(pack.pack_id == pack_id.hex() for pack in status.quarantined)


def hurt(status: ScrubStatus, collection: str) -> dict[str, list[str]]:
    return {version.name: version.paths for version in status.hurt if f"/{collection}:" in version.name}


def pack_with(kept: Kept, chunk: bytes) -> bytes:
    return next(pack_id for pack_id in kept.packs() if chunk in kept.read(pack_id))


def damage(kept: Kept, chunk: bytes) -> bytes:
    """Flips a bit of a chunk where it lies; returns the pack."""
    pack_id = pack_with(kept, chunk)
    data = bytearray(kept.read(pack_id))
    data[data.index(chunk) + len(chunk) // 2] ^= 4
    kept.write(pack_id, bytes(data))
    return pack_id


def read_chunk(client: Client, chunk: bytes) -> bytes:
    """As a reader that asks where it lies."""
    located = client.call(client.packs.LocateChunks, LocateChunksRequest(entity="team", digests=digest_of(chunk)))
    wanted = ReadPackRequest(
        entity="team",
        pack_id=located.packs[located.pack_indexes[0]].pack_id,
        offsets=located.offsets,
        lengths=located.stored_lengths,
    )
    return b"".join(part.data for part in client.call(client.packs.ReadPack, wanted))


def test_damaged_chunk_is_told_missing_its_versions_are_named_and_the_next_log_heals_them(
    kept: Kept, client: Client, collection: str
) -> None:
    bad, good = os.urandom(3000), os.urandom(3000)
    contents = [content_of({"x": bad, "y": good} | pads()), content_of({"y": good}), content_of({"x": bad})]
    for content in contents:
        client.log(collection, content)
    pack_id = damage(kept, bad)
    status = wait_for(kept, lambda status: has(pack_id)(status) and bool(hurt(status, collection)))
    assert hurt(status, collection) == {f"team/vision/{collection}:v{number}": ["x"] for number in (0, 2)}
    named = {version for finding in kept.fsck().findings for version in finding.versions}
    assert named == set(hurt(status, collection)), "fsck says the same"
    lease_id = client.begin(collection).lease.lease_id
    assert client.missing_of(lease_id, [bad, good]) == [bad]
    assert read_chunk(client, good) == good
    assert reason_of(lambda: read_chunk(client, bad)) == "NOT_FOUND"
    again = GrantReadsRequest(entity="team", pack_ids=[pack_id])
    assert reason_of(lambda: client.call(client.packs.GrantReads, again)) == "NOT_FOUND"
    # The content of the latest version, by a writer who believes that it is all there.
    begun = client.begin(collection)
    answer = client.commit(begun, contents[2])
    assert answer.missing_digests == digest_of(bad)
    client.bring(begun.lease.lease_id, [bad])
    assert not client.commit(begun, contents[2]).created
    wait_for(kept, lambda status: not hurt(status, collection))
    assert read_chunk(client, bad) == bad
    assert kept.fsck().is_clean


def test_new_version_does_not_rely_on_a_latest_one_that_is_damaged(kept: Kept, client: Client, collection: str) -> None:
    bad = os.urandom(3000)
    client.log(collection, content_of({"x": bad} | pads()))
    pack_id = damage(kept, bad)
    wait_for(kept, lambda status: has(pack_id)(status) and bool(hurt(status, collection)))
    content = content_of({"x": bad, "more": b"more"})
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, [chunk for chunk in content.chunks if chunk != bad])
    assert client.commit(begun, content).missing_digests == digest_of(bad)
    client.bring(begun.lease.lease_id, [bad])
    assert client.commit(begun, content).version.version_index == 1
    wait_for(kept, lambda status: not hurt(status, collection))


def test_chunk_that_lies_in_another_pack_too_is_read_from_there(kept: Kept, client: Client, collection: str) -> None:
    twice = os.urandom(3000)
    first, second = client.begin(collection), client.begin(collection)
    client.bring(first.lease.lease_id, content_of({"x": twice}).chunks)
    pack_id = pack_with(kept, twice)
    client.bring(second.lease.lease_id, content_of({"x": twice, "y": b"y"}).chunks)
    client.commit(first, content_of({"x": twice}))
    client.commit(second, content_of({"x": twice, "y": b"y"}))
    data = bytearray(kept.read(pack_id))
    data[data.index(twice)] ^= 1
    kept.write(pack_id, bytes(data))
    wait_for(kept, has(pack_id))
    status = wait_for_rounds(kept, 1)
    assert not hurt(status, collection)
    assert read_chunk(client, twice) == twice
    assert kept.fsck().is_clean


def test_lost_pack_that_is_put_back_heals_by_itself(kept: Kept, client: Client, collection: str) -> None:
    files = {f"f{number}": os.urandom(2000) for number in range(3)}
    client.log_files(collection, files)
    pack_id = pack_with(kept, files["f0"])
    sound = kept.read(pack_id)
    kept.remove(pack_id)
    status = wait_for(kept, lambda status: has(pack_id)(status) and bool(hurt(status, collection)))
    assert hurt(status, collection) == {f"team/vision/{collection}:v0": ["(manifest)"]}
    kept.write(pack_id, sound)
    wait_for(kept, lambda status: not hurt(status, collection))
    assert all(read_chunk(client, data) == data for data in files.values())
    assert kept.fsck().is_clean


@pytest.mark.parametrize("part", ["header", "index", "end"])
def test_pack_whose_index_is_damaged_loses_none_of_its_chunks(
    kept: Kept, client: Client, collection: str, part: str
) -> None:
    files = {f"f{number}": os.urandom(2000) for number in range(3)}
    client.log_files(collection, files)
    pack_id = pack_with(kept, files["f0"])
    data = bytearray(kept.read(pack_id))
    data[{"header": 3, "index": -60, "end": -1}[part]] ^= 1
    kept.write(pack_id, bytes(data[: -40 if part == "end" else None]))
    status = wait_for(kept, has(pack_id))
    (pack,) = [pack for pack in status.quarantined if pack.pack_id == pack_id.hex()]
    assert (pack.chunks_moved, pack.chunks_lost) == (5, 0), "three files, a segment and a root"
    assert not hurt(status, collection)
    assert all(read_chunk(client, data) == data for data in files.values())
    assert kept.fsck().is_clean


def test_row_that_says_a_wrong_place_is_put_right(kept: Kept, client: Client, collection: str) -> None:
    wrong = os.urandom(2000)
    client.log_files(collection, {"x": wrong})
    digest = kept.blob(digest_of(wrong))
    pack_id = pack_with(kept, wrong)
    kept.execute(f'UPDATE chunk SET "offset" = "offset" + 1 WHERE digest = {digest}')
    wait_for(kept, lambda status: has(pack_id)(status) and not status.lost_chunks)
    wait_for(kept, lambda status: not hurt(status, collection))
    assert read_chunk(client, wrong) == wrong
    assert kept.fsck().is_clean


def test_command_shows_what_is_hurt_beside_the_registry(kept: Kept, client: Client, collection: str) -> None:
    bad = os.urandom(3000)
    client.log_files(collection, {"x": bad} | pads())
    pack_id = damage(kept, bad)
    wait_for(kept, lambda status: has(pack_id)(status) and bool(hurt(status, collection)))
    settings = {"HOLDFAST_REGISTRY_DATABASE_URL": kept.settings.database_url} if kept.environment else {}
    command = ("scrub", "status", "--data-dir", str(kept.data_dir))
    environment = {name: value for name, value in (settings | kept.environment).items() if value}
    shown = run_registry(*command, environment=environment)
    assert shown.returncode == 1
    assert f"team/vision/{collection}:v0: x" in shown.stdout
    assert pack_id.hex() in shown.stdout
    client.log_files(collection, {"x": bad, "y": b"heals v0"})
    wait_for(kept, lambda status: not status.hurt)
    as_json = run_registry(*command, "--json", environment=environment)
    assert (as_json.returncode, json.loads(as_json.stdout)["hurt"]) == (0, [])


def test_packs_in_quarantine_stay_and_every_other_one_is_sound(kept: Kept, process: RegistryProcess) -> None:
    """After all that the tests before have done."""
    quarantined = {pack.pack_id for pack in status_of(kept).quarantined}
    lying = set(kept.packs())
    assert len(quarantined) > 3
    assert all(bytes.fromhex(pack_id) in lying for pack_id in quarantined)
    for pack_id in lying - set(map(bytes.fromhex, quarantined)):
        data = kept.read(pack_id)
        assert read_index(lambda at, length, data=data: data[at : at + length], len(data))  # type: ignore[misc]
    assert "pack is damaged and in quarantine" in process.log.read_text()
    assert "version is hurt" in process.log.read_text()
