"""Keeps an eye on the registry that was configured: whether it answers, speaks our protocol, and cuts files as we do.

A registry of another protocol gets no calls at all; jobs wait and say why until one of the two sides is upgraded.
"""

import asyncio
import logging

from holdfast_contract import limits
from holdfast_contract.reasons import Reason
from holdfast_daemon import __version__
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.registry_tls import why_no_handshake
from holdfast_daemon.rpc.control_service import own_chunking
from holdfastpb.common.v1.hello_pb2 import HelloResponse

CHECK_S = 15.0
CHECK_AGAIN_S = 1.0
"""While something is wrong."""

_log = logging.getLogger(__name__)


class ConfiguredRegistry:
    """Shakes hands again and again."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        client.hold_calls()
        self.problem = ""
        """Why it can't be used; empty while it can."""

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            problem = await self._check()
            if problem is not None and problem.message != self.problem:
                _log.error("%s", problem.message)
            self.problem = problem.message if problem is not None else ""
            self._client.refuse_calls(problem if problem is not None and not problem.retryable else None)
            self._client.release_calls()
            await asyncio.sleep(CHECK_AGAIN_S if self.problem else CHECK_S)

    async def stop(self) -> None:
        """It is not ours to stop."""

    async def _check(self) -> HoldfastError | None:
        self._client.token.reread()
        self._client.reread_tls()
        try:
            return mismatch(await self._client.hello(), self._client.address)
        except HoldfastError as error:
            if error.reason is not Reason.UNAVAILABLE:
                return error
            found = await asyncio.to_thread(why_no_handshake, self._client.address, self._client.tls)
            return error if found is None else HoldfastError(Reason.UNAVAILABLE, found)


def mismatch(hello: HelloResponse, address: str) -> HoldfastError | None:
    """Why a registry that introduces itself like this can't be used; None when it can."""
    if not limits.PROTOCOL_MIN <= hello.protocol <= limits.PROTOCOL_MAX:
        return HoldfastError(
            Reason.PROTOCOL_MISMATCH,
            f"the registry at {address} (Holdfast {hello.software_version}) speaks protocols {hello.protocol_min} to "
            f"{hello.protocol_max}, this daemon ({__version__}) {limits.PROTOCOL_MIN} to {limits.PROTOCOL_MAX}; "
            "upgrade the older one",
        )
    if hello.chunking != own_chunking():
        return HoldfastError(
            Reason.PROTOCOL_MISMATCH,
            f"the registry at {address} (Holdfast {hello.software_version}) wants files cut in another way than this "
            f"daemon ({__version__}) cuts them; upgrade the older one",
        )
    return None
