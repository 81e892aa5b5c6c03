"""Pacing: what a limit lets through, and who gets how much of it."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.limits import GIB, PACK_BYTES_MAX
from holdfast_contract.rates import parse_rate
from holdfast_daemon.pipeline.bandwidth import Bandwidth
from holdfast_daemon.pipeline.pacing import BURST_S, EARLY_PACK_BYTES, FairShares, Share, TokenBucket, due_bytes
from holdfast_daemon.pipeline.upload_queue import UploadQueue
from holdfast_daemon.spool.spool import SpoolPack

PIECES = st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 0.5)), min_size=2, max_size=60)
WEIGHTS = st.lists(st.sampled_from((1, 8, 64)), min_size=2, max_size=5)


@given(rate=st.integers(1, 10**9), pieces=PIECES)
def test_no_stretch_of_time_sees_more_than_the_rate_and_one_burst(rate: int, pieces: list[tuple[int, float]]) -> None:
    bucket, now_s, sent = TokenBucket(rate), 0.0, []
    for size, idle_s in pieces:
        now_s += idle_s
        now_s += bucket.delay_s(now_s)
        bucket.spend(now_s, size)
        sent.append((now_s, size))
    for first in range(len(sent)):
        passed = 0
        for at_s, size in sent[first:]:
            # The piece that goes at the end of the stretch is not through yet.
            assert passed <= rate * (at_s - sent[first][0] + BURST_S) * (1 + 1e-9) + sent[first][1] + 1
            passed += size


@given(rate=st.integers(1, 10**9), sizes=st.lists(st.integers(1, 100_000), min_size=1), late_s=st.floats(0, BURST_S))
def test_timers_that_come_late_by_less_than_a_burst_cost_nothing_of_the_rate(
    rate: int, sizes: list[int], late_s: float
) -> None:
    bucket, now_s = TokenBucket(rate), 0.0
    for size in sizes:
        delay_s = bucket.delay_s(now_s)
        now_s += delay_s + (late_s if delay_s else 0)
        bucket.spend(now_s, size)
    assert now_s <= sum(sizes) / rate + BURST_S * 1.001


@given(weights=WEIGHTS, size=st.integers(1, 10_000))
def test_shares_are_by_weight_and_none_stands_still(weights: list[int], size: int) -> None:
    shares, got = FairShares(), Counter[int]()
    wanting = [Share(key, weight) for key, weight in enumerate(weights)]
    for _ in range(4 * sum(weights)):
        share = shares.first(wanting)
        shares.charge(share, size)
        got[int(str(share.key))] += 1
    assert all(abs(got[key] - 4 * weight) <= 1 + len(weights) for key, weight in enumerate(weights))
    assert min(got[key] for key in range(len(weights))) > 0


def test_who_was_away_has_saved_nothing_up() -> None:
    shares, steady, back = FairShares(), Share("steady", 8), Share("back", 8)
    for _ in range(100):
        shares.charge(steady, 1000)
    turns = []
    for _ in range(10):
        turns.append(shares.first([steady, back]))
        shares.charge(turns[-1], 1000)
    assert 4 <= turns.count(back) <= 6


async def test_a_limit_that_is_lifted_lets_all_go_that_wait() -> None:
    line = Bandwidth(1)
    waiting = [asyncio.create_task(line.take(10**6, Share(key, 1))) for key in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False, False]
    line.limit(0)
    await asyncio.gather(*waiting)
    await line.take(10**12, Share("now", 1))


async def test_what_is_given_up_while_it_waits_takes_nothing_from_others() -> None:
    now_s = 0.0
    line = Bandwidth(1000, clock=lambda: now_s)
    await line.take(1000, Share("first", 1))
    given_up = asyncio.create_task(line.take(10**9, Share("second", 1)))
    third = asyncio.create_task(line.take(1, Share("third", 1)))
    await asyncio.sleep(0)
    given_up.cancel()
    now_s = 1.0
    line.limit(10**6)
    await third
    assert line.piece_bytes(1 << 20) == 50_000


def pack(number: int) -> SpoolPack:
    """A pack of one job, which has its number."""
    from holdfast_contract.pack import PackIndex

    pack_id = number.to_bytes(16, "big")
    return SpoolPack(pack_id, "e", PackIndex(pack_id), jobs={str(number)}, end=1000)


async def test_a_pack_of_higher_priority_does_not_wait_for_the_end_of_others_and_one_of_nobody_needs_no_slot() -> None:
    weights = {"1": 1, "2": 1, "3": 64, "4": 64}
    queue = UploadQueue(lambda: 1, lambda p: next((Share(j, weights[j]) for j in p.jobs if j in weights), None))
    low, other_low, high, other_high, unwanted = map(pack, (1, 2, 3, 4, 5))
    queue.put(low)
    assert await queue.take() is low
    for waiting in (other_low, high, other_high):
        queue.put(waiting)
    assert await queue.take() is high
    queue.put(unwanted)
    assert await queue.take() is unwanted
    following = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not following.done()
    queue.give_back(low)
    queue.give_back(high)
    assert await following is other_high
    assert queue.qsize() == 1


def test_an_idle_line_gets_a_small_pack_and_a_busy_one_waits_for_full_ones() -> None:
    assert [due_bytes(under_way, 0) for under_way in range(5)] == [
        EARLY_PACK_BYTES,
        2 * EARLY_PACK_BYTES,
        4 * EARLY_PACK_BYTES,
        PACK_BYTES_MAX,
        PACK_BYTES_MAX,
    ]


def test_a_large_artifact_goes_in_full_packs_though_the_line_is_idle_all_the_time() -> None:
    sent_bytes, packs = 0, 0
    while sent_bytes < 4 * GIB:
        sent_bytes += due_bytes(0, sent_bytes)
        packs += 1
    assert packs < 1.5 * 4 * GIB / PACK_BYTES_MAX


async def test_the_queue_has_room_only_while_a_pack_would_go_at_once() -> None:
    queue = UploadQueue(lambda: 1, lambda p: Share(min(p.jobs), 1))
    first, second = pack(1), pack(2)
    assert queue.has_room
    queue.put(first)
    assert not queue.has_room
    await queue.take()
    assert (queue.has_room, queue.under_way) == (False, 1)
    queue.put(second)
    queue.give_back(first)
    assert (queue.has_room, queue.under_way) == (False, 0)


async def test_a_pack_that_has_arrived_leaves_the_line_to_the_next_and_only_so_many_do_as_there_are_slots() -> None:
    queue = UploadQueue(lambda: 1, lambda p: Share(min(p.jobs), 1))
    first, second, third = map(pack, (1, 2, 3))
    for wanted in (first, second, third):
        queue.put(wanted)
    assert await queue.take() is first
    with queue.arrived(first):
        assert queue.under_way == 0
        assert await queue.take() is second
        with queue.arrived(second):
            assert queue.under_way == 1  # a registry that is behind is not given more and more to check
            assert not queue.has_room
        assert queue.under_way == 1
    assert queue.under_way == 2
    queue.give_back(first)
    queue.give_back(second)
    assert await queue.take() is third


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20MB/s", 20_000_000),
        ("1.5MiB/s", 1_572_864),
        ("500k", 500_000),
        ("7", 7),
        ("off", 0),
        ("", 0),
        ("2 GB/s", 2 * 10**9),
    ],
)
def test_rate_is_read_as_people_write_it(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "-1", "0", "1e9", "20MB/m", "99999999TB/s", "٣MB/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)
