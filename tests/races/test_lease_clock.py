"""Clocks that jump, by days and both ways, end a lease too early or too late at worst; they never lose what was committed (P15)."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.limits import LEASE_TTL_S
from holdfast_registry.domain.leases import is_usable, may_expire, needs_renewal, rest_s
from holdfast_registry.domain.records import LeaseState
from holdfast_registry.fsck import check_store
from holdfastpb.registry.v1 import pack_pb2, version_pb2
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceStub
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceStub
from support.figures import figure
from support.one_registry import FakeClock, MachineClock, registry_in_process
from support.registry_writer import Content, bring, make_pack, new_request_id, reason_of

RUNS = figure(10, 200)
STEPS = 10
"""Versions in a run: 10 runs of 10 are 100 commits between jumps."""
JUMP_S_MAX = 48 * 3600
DAY_MS = 86_400_000

times = st.integers(0, 4 * 10**12)
states = st.sampled_from(LeaseState)


@given(states, times, times)
def test_a_lease_is_never_usable_and_expirable_at_once(state: LeaseState, expires_at_ms: int, now_ms: int) -> None:
    assert not (is_usable(state, expires_at_ms, now_ms) and may_expire(state, expires_at_ms, now_ms))
    if state is LeaseState.ACTIVE:
        assert is_usable(state, expires_at_ms, now_ms) or may_expire(state, expires_at_ms, now_ms)
    else:
        assert not is_usable(state, expires_at_ms, now_ms)
        assert not may_expire(state, expires_at_ms, now_ms)


@given(times, st.integers(-2 * DAY_MS, 2 * DAY_MS))
def test_a_used_lease_lasts_long_enough_by_whatever_clock(now_ms: int, jump_ms: int) -> None:
    expires_at_ms = now_ms + LEASE_TTL_S * 1000
    later_ms = now_ms + jump_ms
    if is_usable(LeaseState.ACTIVE, expires_at_ms, later_ms) and needs_renewal(expires_at_ms, later_ms, LEASE_TTL_S):
        expires_at_ms = later_ms + LEASE_TTL_S * 1000
    if is_usable(LeaseState.ACTIVE, expires_at_ms, later_ms):
        # A clock that was set back does not make a lease eternal, nor a use leave it with next to nothing.
        assert LEASE_TTL_S * 9 // 10 - 1 <= rest_s(expires_at_ms, later_ms) <= LEASE_TTL_S


@dataclass
class Writer:
    """Commits versions whatever the clock does: begins again when the lease has ended."""

    versions: Any
    packs: Any
    jumps: random.Random
    clock: FakeClock | MachineClock
    expired: int = 0

    def jump(self) -> None:
        if self.jumps.random() < 0.3:
            self.clock.advance(self.jumps.uniform(-JUMP_S_MAX, JUMP_S_MAX))

    async def commit(self, content: Content) -> Any:
        while True:
            try:
                return await self.commit_once(content)
            except grpc.aio.AioRpcError as error:
                # The last: the lease ended, and its pack was given up, while that was checked.
                if reason_of(error) not in ("LEASE_EXPIRED", "VERSION_NOT_PENDING", "GRANT_INVALID"):
                    raise
                self.expired += 1

    async def commit_once(self, content: Content) -> Any:
        begin = version_pb2.BeginVersionRequest(
            request_id=new_request_id(), entity="e", project="p", collection="c", type="dataset"
        )
        begun = await self.versions.BeginVersion(begin)
        self.jump()
        await self._upload(begun.lease.lease_id, list(content.chunks.values()), list(content.chunks))
        self.jump()
        commit = version_pb2.CommitVersionRequest(
            request_id=new_request_id(),
            version_id=begun.version_id,
            lease_id=begun.lease.lease_id,
            artifact_digest=content.digest,
            manifest_root=content.root,
        )
        answer = await self.versions.CommitVersion(commit)
        assert not answer.missing_digests
        return answer.version

    async def _upload(self, lease_id: str, chunks: Sequence[bytes], digests: Sequence[bytes]) -> None:
        find = pack_pb2.FindMissingRequest(lease_id=lease_id, digests=b"".join(digests))
        found = await self.packs.FindMissing(find)
        missing = [chunk for i, chunk in enumerate(chunks) if found.missing_bitmap[i // 8] >> (i % 8) & 1]
        if not missing:
            return
        pack_id, data = make_pack(missing)
        intent = pack_pb2.PackIntent(pack_id=pack_id, size_bytes=len(data), chunk_count=len(missing))
        grants = await self.packs.GrantPacks(pack_pb2.GrantPacksRequest(lease_id=lease_id, packs=[intent]))
        self.jump()
        bring(grants.grants[0], data)
        await self.packs.SealPack(pack_pb2.SealPackRequest(lease_id=lease_id, pack_id=pack_id, size_bytes=len(data)))


async def test_clock_jumps_lose_no_commit_and_hinder_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    with tempfile.TemporaryDirectory(prefix="hf-") as runtime_dir:
        socket = Path(runtime_dir) / "r.sock"
        async with registry_in_process(tmp_path / "registry", socket, clock, monkeypatch) as address:
            expired = await _commit_between_jumps(address, clock)
    assert check_store(tmp_path / "registry", deep=True).is_clean
    assert expired > 0, "no jump has ended a lease, so nothing was shown"


async def _commit_between_jumps(address: str, clock: FakeClock) -> int:
    """Commits, and checks what a reader sees; returns how often a lease has ended under the writer."""
    committed: list[tuple[Any, Content]] = []
    async with grpc.aio.insecure_channel(address) as channel:
        versions, packs = VersionServiceStub(channel), PackServiceStub(channel)
        writer = Writer(versions, packs, random.Random(RUNS), clock)
        for run in range(RUNS):
            for step in range(STEPS):
                # Most chunks come again, under leases and clocks of other days.
                content = Content.of({f"f{n}": f"{run} {n}".encode() for n in range(step + 1)})
                committed.append((await writer.commit(content), content))
        assert [version.version_index for version, _ in committed] == list(range(RUNS * STEPS))
        for version, content in committed:
            found = await versions.GetVersion(version_pb2.GetVersionRequest(version_id=version.version_id))
            assert (found.version.digest, found.version.version_index) == (content.digest, version.version_index)
            await packs.LocateChunks(pack_pb2.LocateChunksRequest(entity="e", digests=b"".join(content.chunks)))
    return writer.expired
