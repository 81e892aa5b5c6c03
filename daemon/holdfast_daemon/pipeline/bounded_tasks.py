"""Runs many coroutines, only so many at a time; the first error ends all of them and is raised as itself."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.workers import WorkerDiedError

T = TypeVar("T")


class BoundedTasks:
    """`async with BoundedTasks(8) as tasks: await tasks.start(f, x)`: `start` waits while 8 are running."""

    def __init__(self, running_max: int) -> None:
        self._free = asyncio.Semaphore(running_max)
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "BoundedTasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._group.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            raise _first_leaf(group) from None

    async def start(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Starts `function(*args)` as soon as there is room."""
        await self._free.acquire()
        self._group.create_task(self._run(function, args))

    async def _run(self, function: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        try:
            await function(*args)
        finally:
            self._free.release()


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def outcome(task: "asyncio.Task[None]") -> None:
    """Awaits a task whose workers may die.

    Raises:
        HoldfastError: INTERNAL: they did, again and again; else whatever the task raises.
    """
    try:
        await task
    except WorkerDiedError as error:
        raise HoldfastError(Reason.INTERNAL, str(error)) from error


async def stop(task: "asyncio.Task[Any]") -> None:
    """Ends a task, if it has not ended, and waits until it has."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # taken note of: whoever stops a task does not want its result


async def run_to_end(work: Awaitable[T]) -> T:
    """Awaits work in a thread that must not be left alone: when cancelled, waits for its end first.

    What the thread uses (descriptors, buffers) may then be closed without pulling it away under its hands.
    """
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future})
        if not future.cancelled():
            future.exception()  # taken note of; the cancellation is what counts
        raise
