"""Moves packs straight to and from an S3 server, by addresses that the registry has signed.

What fails for a while (5xx, cut connections, silence) is tried again here, with growing pauses; an address that is refused goes back to
the caller, who asks the registry for another one.  Nothing here decides what bytes are right: digests do, elsewhere.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bandwidth import Bandwidth
from holdfast_daemon.pipeline.bounded_tasks import BoundedTasks
from holdfast_daemon.pipeline.http_gets import (
    BrokenError,
    HttpGets,
    Take,
)
from holdfast_daemon.pipeline.http_puts import HttpPuts
from holdfast_daemon.pipeline.pacing import Share
from holdfast_daemon.pipeline.transfer_limits import CONNECTIONS_MAX, TransferLimits

ATTEMPTS = 6
"""With pauses of up to 0.2, 0.4 ... 6.4 s; a longer outage is the job's to wait out."""
RETRY_BASE_S = 0.2
RETRY_MAX_S = 10.0
PIECE_BYTES = 8 * MIB
"""Of one GET: several bring one pack faster than one."""
PIECE_S = 0.1
"""With a limit pieces are as short as this: they come at the line's speed, one after another."""
SEND_BYTES = 1 * MIB
"""After so many a limit, or a pause, is looked for."""
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")

_DONE = frozenset({200, 201, 204})
_THERE_ALREADY = 412
_REFUSED = 403
_GONE = 404
_SLOW_DOWN = frozenset({429, 503})
_PASSING = frozenset({400, 408, 409, 425, 429, 500, 502, 503, 504})
"""400 among them: bytes that were damaged on the way, and uploads that were too slow, are refused with it."""

_log = logging.getLogger(__name__)


Allow = Callable[[int], Awaitable[None]]
"""Returns when so many bytes may go."""


class AddressRefusedError(Exception):
    """The server does not take the address: most likely it has expired."""


class _PassingError(Exception):
    """What may go well the next time; says why it did not."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What is brought."""

    path: Path
    size_bytes: int
    allow: Allow


class HttpTransfers:
    """All transfers of one daemon, over one pool of connections.

    Addresses are used as they were signed: nothing in them is quoted anew, and no redirection is followed with them.
    """

    def __init__(
        self,
        up: Bandwidth | None = None,
        down: Bandwidth | None = None,
        limits: TransferLimits | None = None,
    ) -> None:
        """Takes the limits of both directions, which hold for transfers through the registry, too; None: no limit."""
        self.up = up or Bandwidth()
        self.down = down or Bandwidth()
        self._limits = limits or TransferLimits()
        self._gets = HttpGets(CONNECTIONS_MAX)
        self._puts = HttpPuts(CONNECTIONS_MAX)

    async def put(self, path: Path, size_bytes: int, url: str, headers: Mapping[str, str], allow: Allow) -> None:
        """Brings a file, or finds that it was brought before.

        Args:
            path: of the file.
            size_bytes: of the file.
            url: where it goes.
            headers: that the address wants.
            allow: is awaited before bytes go.

        Raises:
            AddressRefusedError: see there.
            HoldfastError: UNAVAILABLE: it did not go, again and again.
        """

        async def once(attempt: int) -> None:
            async with self._limits.slot(size_bytes) as cuts:
                await self._put_once(_Source(path, size_bytes, allow), url, headers, attempt, cuts)

        await self._patiently("cannot take a pack", once)

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        ranges: Sequence[tuple[int, int]],
        write: Callable[[memoryview, int], None],
        share: Share,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """Brings ranges (offset, length) of an object, in any order; what came before a connection broke is not asked for again.

        Args:
            url: of the object.
            headers: that the address wants.
            ranges: that do not overlap.
            write: takes a block, which is good until it returns, and its offset; is called in threads, several at a time.
            share: for whom, when there is a limit.
            piece_bytes: of one request, at most.

        Raises:
            AddressRefusedError: see there.
            HoldfastError: UNAVAILABLE; STORE_DAMAGED: the object is gone, or shorter than it was.
            OSError: from `write`.
        """

        async def piece(offset: int, length: int) -> None:
            at, end = offset, offset + length

            def take(block: memoryview) -> None:
                nonlocal at
                write(block, at)
                at += len(block)

            async def once(_: int) -> None:
                if at == end:
                    return  # the connection broke after the last byte
                # Before they are asked for: a server must not wait for us with an answer, and its line is not ours to fill.
                await self.down.take(end - at, share)
                async with self._limits.slot(end - at) as cuts:
                    await self._get_once(url, headers, (at, end - at), cuts, take)

            await self._patiently("does not send a pack", once)

        async with BoundedTasks(CONNECTIONS_MAX) as tasks:
            for offset, length in ranges:
                start, end = offset, offset + length
                while start < end:
                    size_bytes = min(self.down.piece_bytes(piece_bytes, PIECE_S), end - start)
                    await tasks.start(piece, start, size_bytes)
                    start += size_bytes

    async def close(self) -> None:
        """Ends all connections."""
        self._gets.close()
        self._puts.close()

    async def _patiently(self, what: str, once: Callable[[int], Awaitable[None]]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                return await once(attempt)
            except _PassingError as error:
                _log.info("the store %s (%s), attempt %d", what, error, attempt + 1)
                if attempt == ATTEMPTS - 1:
                    raise HoldfastError(Reason.UNAVAILABLE, f"the S3 server {what}: {error}") from error
            # Full jitter: many daemons that one server has sent away do not come back together.
            await asyncio.sleep(random.uniform(0, min(RETRY_MAX_S, RETRY_BASE_S * 2**attempt)))
        raise AssertionError("the last attempt returns or raises")

    async def _put_once(self, source: "_Source", url: str, headers: Mapping[str, str], attempt: int, cuts: int) -> None:
        async def allowed(left_bytes: int) -> int:
            length = min(self.up.piece_bytes(SEND_BYTES), left_bytes)
            await source.allow(length)
            return length

        # A server that has the pack already may hang up instead of taking all of it, and its answer would be lost.  Every other try
        # therefore asks first; not every one, for there are proxies that never answer to that.
        asks_first = attempt % 2 == 1
        try:
            answer = await self._puts.put(source.path, source.size_bytes, url, headers, allowed, asks_first=asks_first)
        except BrokenError as error:
            raise _PassingError(str(error)) from error
        if answer.status in _DONE or answer.status == _THERE_ALREADY:
            self._limits.succeeded()
            return
        self._judge(answer.status, answer.reason, answer.text, cuts)

    async def _get_once(
        self, url: str, headers: Mapping[str, str], wanted: tuple[int, int], cuts: int, take: Take
    ) -> None:
        offset, length = wanted
        try:
            answer = await self._gets.get(url, headers, offset, length, take)
        except BrokenError as error:
            raise _PassingError(str(error)) from error
        if answer.status != 206:
            self._judge(answer.status, answer.reason, answer.text, cuts)
        if not answer.content_range.startswith(f"bytes {offset}-{offset + length - 1}/"):
            raise HoldfastError(
                Reason.STORE_DAMAGED,
                "the S3 server has other bytes than a pack's; run `holdfast registry fsck`",
            )
        self._limits.succeeded()

    def _judge(self, status: int, reason: str | None, text: bytes, cuts: int) -> NoReturn:
        """Raises what an answer means that is not the wanted one."""
        code = _CODE.search(text)
        words = f"it answers {status} {code[1].decode() if code else reason or ''}".strip()
        if status in _SLOW_DOWN:
            self._limits.slow_down(cuts)
        if status == _REFUSED:
            raise AddressRefusedError(words)
        if status in _PASSING:
            raise _PassingError(words)
        if status in (_GONE, 416):
            text_of = f"a pack is not whole in the store ({words}); run `holdfast registry fsck`"
            raise HoldfastError(Reason.STORE_DAMAGED, text_of)
        raise HoldfastError(
            Reason.UNAVAILABLE, f"the S3 server is no use as it is: {words}; ask the registry's operator"
        )
