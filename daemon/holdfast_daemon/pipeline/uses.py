"""Brings uses of versions to the registry: a caller is told when a use is in the journal, and the registry hears of many at once.

Order: journal, acknowledgement, registry, journal forgets.  A crash after any of them sends again what the journal still has, which the
registry knows and ignores.
"""

import asyncio
import contextlib
import logging

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.reading_store import ReadingStore
from holdfast_daemon.registry_client import RegistryClient, retry_delay_s
from holdfastpb.registry.v1.run_pb2 import RecordUseRequest, RecordUsesRequest

BATCH_MAX = 500
"""Half of what the registry takes: a run with its configuration is a few KB, and a message has 4 MiB."""
BATCH_BYTES_MAX = 2 << 20
FLUSH_PATIENCE_S = 5.0
"""Who reads lineage waits so long for what was recorded before; half of what a call may take in all."""

_log = logging.getLogger(__name__)


class Uses:
    """`record` and `flush` are for calls, `run` is the loop that sends.

    Args:
        store: the journal's part.
        registry: is told.
        retry_delay_max_s: longest pause between two tries.
    """

    def __init__(self, store: ReadingStore, registry: RegistryClient, retry_delay_max_s: float) -> None:
        self._store = store
        self._registry = registry
        self._retry_delay_max_s = retry_delay_max_s
        self._recorded = 0
        self._sent = -1  # not before it was looked for what the last daemon left
        self._failures = 0
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._wanted.set()

    @property
    def is_waiting(self) -> bool:
        """Whether the registry has yet to hear of some."""
        return self._sent < self._recorded

    async def record(self, request: RecordUseRequest) -> None:
        """Takes a use over; it is on stable storage when this returns.

        Raises:
            HoldfastError: INVALID_ARGUMENT: it says not of what, or by whom.
        """
        if not request.version_id or not request.run.run_id:
            raise HoldfastError(Reason.INVALID_ARGUMENT, "a use needs the id of a version and a run")
        await self._store.add_use(request.SerializeToString())
        self._recorded += 1
        self._wanted.set()

    async def flush(self) -> None:
        """Returns when the registry has what was recorded before, or cannot be told now."""
        goal, failures = self._recorded, self._failures
        if self._sent >= goal:
            return
        self._wanted.set()
        async with self._changed:
            waiting = self._changed.wait_for(lambda: self._sent >= goal or self._failures > failures)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting, FLUSH_PATIENCE_S)

    async def run(self) -> None:
        """Sends, for ever."""
        attempt = 0
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                while await self._send_some():
                    attempt = 0
            except HoldfastError as error:
                attempt += 1
                self._failures += 1
                await self._tell()
                _log.info("uses wait for the registry: %s", error.message)
                delay_s = retry_delay_s(attempt, self._retry_delay_max_s)
                asyncio.get_running_loop().call_later(delay_s, self._wanted.set)

    async def _send_some(self) -> bool:
        """Sends the oldest uses; returns whether there were any."""
        recorded = self._recorded
        uses = _batch(await self._store.load_uses(BATCH_MAX))
        if uses:
            requests = [RecordUseRequest.FromString(encoded) for _, encoded in uses]
            if len(requests) == 1 or not await self._send_together(requests):
                for request in requests:
                    await self._send_one(request)
            await self._store.drop_uses(uses[0][0], uses[-1][0])
        else:
            self._sent = recorded
            await self._tell()
        return bool(uses)

    async def _send_together(self, requests: list[RecordUseRequest]) -> bool:
        """Returns whether the registry took them; False: one of them is not to its liking, or it knows no such call."""
        try:
            answer = await self._registry.call(self._registry.runs.RecordUses, RecordUsesRequest(uses=requests))
        except HoldfastError as error:
            if error.retryable or error.reason is Reason.UNAUTHENTICATED:
                raise
            return False
        for version_id in answer.unknown_version_ids:
            _log.warning("a use of version %s is not recorded: it was deleted", version_id)
        return True

    async def _send_one(self, request: RecordUseRequest) -> None:
        try:
            await self._registry.call(self._registry.runs.RecordUse, request)
        except HoldfastError as error:
            if error.may_pass:
                raise
            _log.warning("a use of version %s is not recorded: %s", request.version_id, error.message)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _batch(uses: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """As many of the first ones as fit into a message."""
    size_bytes = 0
    for at, (_, encoded) in enumerate(uses):
        size_bytes += len(encoded)
        if at and size_bytes > BATCH_BYTES_MAX:
            return uses[:at]
    return uses
