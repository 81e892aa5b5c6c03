"""How many transfers to an S3 server run at once: bounded by connections and bytes, fewer when the server says so."""

import asyncio

import pytest

from holdfast_daemon.pipeline.transfer_limits import TransferLimits


async def running(limits: TransferLimits, size_bytes: int, wanted: int) -> int:
    """How many of `wanted` transfers are let in together."""
    release = asyncio.Event()
    entered = 0

    async def one() -> None:
        nonlocal entered
        async with limits.slot(size_bytes):
            entered += 1
            await release.wait()

    tasks = [asyncio.create_task(one()) for _ in range(wanted)]
    await settled()
    found = entered
    release.set()
    await asyncio.gather(*tasks)
    assert entered == wanted
    return found


async def settled() -> None:
    """Lets every task come as far as it can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_transfers_grow_by_one_a_round_up_to_the_connections() -> None:
    limits = TransferLimits(connections_max=12)
    assert await running(limits, 1, 20) == 8
    for _ in range(8 * 9):
        limits.succeeded()
    assert 9 <= limits.allowed <= 12
    for _ in range(1000):
        limits.succeeded()
    assert await running(limits, 1, 20) == 12


async def test_slow_down_halves_once_for_all_that_began_before_it() -> None:
    limits = TransferLimits()
    async with limits.slot(1) as first, limits.slot(1) as second:
        limits.slow_down(first)
        limits.slow_down(second)
    assert await running(limits, 1, 10) == 4
    for _ in range(5):
        async with limits.slot(1) as cuts:
            limits.slow_down(cuts)
    assert await running(limits, 1, 3) == 1


async def test_bytes_are_bounded_and_one_that_is_larger_goes_alone() -> None:
    limits = TransferLimits(bytes_max=100)
    assert await running(limits, 30, 8) == 3
    assert await running(limits, 500, 2) == 1


async def test_cancelled_transfers_give_their_places_back() -> None:
    limits = TransferLimits(connections_max=1)
    entered = asyncio.Event()

    async def one() -> None:
        async with limits.slot(1):
            entered.set()
            await asyncio.Event().wait()

    inside, waiting = asyncio.create_task(one()), asyncio.create_task(one())
    await entered.wait()
    last = asyncio.create_task(running(limits, 1, 1))
    await settled()
    for task in (waiting, inside):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.wait_for(last, 10)
    assert await running(limits, 1, 3) == 1


async def test_large_transfer_is_not_kept_out_by_small_ones_that_came_later() -> None:
    limits = TransferLimits(bytes_max=100)
    order: list[int] = []

    async def one(size_bytes: int) -> None:
        async with limits.slot(size_bytes):
            order.append(size_bytes)
            await settled()

    tasks = [asyncio.create_task(one(size_bytes)) for size_bytes in (40, 40, 90, 10, 10, 10)]
    await asyncio.gather(*tasks)
    assert order == [40, 40, 90, 10, 10, 10]
