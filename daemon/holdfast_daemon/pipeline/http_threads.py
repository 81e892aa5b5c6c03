"""HTTP exchanges in threads that the event loop may end: what GETs and PUTs have in common."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from holdfast_contract.http_connections import KeptConnections

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Exchange(Protocol[T_co]):
    """One request and its answer."""

    def run(self) -> T_co:
        """Does it, in a thread."""

    def cancel(self) -> bool:
        """Ends it; returns False when it is only connecting: then it ends by itself, and does nothing more."""


class HttpThreads:
    """Threads of one daemon, and connections that are kept; proxies are those of the environment."""

    def __init__(self, at_once_max: int, name: str) -> None:
        """Takes how many exchanges there are at once, at most; each has a thread of this name."""
        self.connections = KeptConnections()
        self._threads = ThreadPoolExecutor(at_once_max, name)

    async def run(self, exchange: Exchange[T]) -> T:
        """Does an exchange; when this is cancelled, or raises, it does nothing more.

        Raises:
            Exception: whatever the exchange raises.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, exchange.run)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_take_note)
            if exchange.cancel():
                await asyncio.wait({running})  # its socket is shut, so it ends at once
            raise

    def close(self) -> None:
        """Ends connections that are idle; the others end with their exchanges."""
        self.connections.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _take_note(running: "asyncio.Future[Any]") -> None:
    if not running.cancelled():
        running.exception()  # nobody waits for it any more
