"""Passes the registry's read and metadata calls on, with the daemon's credentials; most messages are not decoded.

Workers need no token and no network of their own.  What writes content (begin, commit, packs) is the daemon's own business and
is refused.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import grpc
import grpc.aio

from holdfast_contract.limits import COMMIT_DEADLINE_S
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient, to_error
from holdfast_daemon.rpc.answered_here import AnsweredHere

FORWARDED = frozenset(
    f"/holdfast.registry.v1.{method}"
    for method in (
        "RegistryService/Hello",
        "VersionService/GetVersion",
        "VersionService/ResolveVersion",
        "VersionService/ListVersions",
        "VersionService/ListManifestSegments",
        "VersionService/UpdateVersion",
        "VersionService/DeleteVersion",
        "VersionService/RestoreVersion",
        "VersionService/SearchVersions",
        "VersionService/ListRunArtifacts",
        "VersionService/LinkVersion",
        "VersionService/UnlinkVersion",
        "VersionService/ListLinks",
        "CollectionService/GetCollection",
        "CollectionService/ListCollections",
        "CollectionService/UpdateCollection",
        "CollectionService/DeleteCollection",
        "CollectionService/CreatePortfolio",
        "CollectionService/ListTypes",
        "CollectionService/ListProjects",
        "CollectionService/GetProject",
        "CollectionService/CreateProject",
        "CollectionService/UpdateProject",
        "CollectionService/DeleteRegistry",
        "RunService/UpsertRun",
        "RunService/GetRun",
        "RunService/RecordUse",
        "RunService/RecordUses",
        "RunService/ListVersionRuns",
        "RunService/ListRunVersions",
        "RunService/ListRuns",
        "AccessService/WhoAmI",
        "AccessService/GetProtectedAliases",
        "AccessService/SetProtectedAliases",
        "AccessService/CreateToken",
        "AccessService/ListTokens",
        "AccessService/RevokeToken",
        "AccessService/RotateToken",
        "AccessService/ListAudit",
        "AccessService/SetQuota",
        "AccessService/GetQuotas",
        "AdminService/SetRetention",
        "AdminService/GetRetention",
        "AdminService/PreviewRetention",
        "AdminService/RunGc",
        "AdminService/GetGcStatus",
    )
)
STREAMED = frozenset({"/holdfast.registry.v1.AdminService/RunGc"})
"""Of those, the ones that answer with many messages, for as long as it takes."""
_PREFIX = "/holdfast.registry.v1."


class Forwarder(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # the stubs make it generic, the class is not
    """Handler of all calls to the registry's services that arrive on the daemon's socket."""

    def __init__(self, registry: RegistryClient, here: AnsweredHere) -> None:
        self._registry = registry
        self._here = here
        self._stubs: dict[str, Callable[..., Any]] = {}

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler of a call; None when it is not for the registry."""
        method: str = details.method
        if not method.startswith(_PREFIX):
            return None

        if method in STREAMED:
            return grpc.unary_stream_rpc_method_handler(self._streamed(method))

        async def forward(request: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
            return await self._forward(method, request, context)

        return grpc.unary_unary_rpc_method_handler(forward)

    async def _forward(self, method: str, request: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
        if method not in FORWARDED:
            raise HoldfastError(Reason.PERMISSION_DENIED, f"{method} is not passed on; the daemon does that itself")
        known = await self._here.before(method, request)
        if known is not None:
            return known
        stub = self._stubs.get(method)
        if stub is None:
            stub = self._stubs[method] = self._registry.channel.unary_unary(method, None, None)
        left = context.time_remaining()
        deadline_s = min(left, COMMIT_DEADLINE_S) if left is not None else COMMIT_DEADLINE_S
        await self._registry.until_started(deadline_s)
        generation = self._here.generation
        try:
            with self._registry.counted(), self._registry.tracing.span(f"forward {method[1:]}"):
                answer = await self._registry.at_rate(lambda: self._answer(stub, request, deadline_s), deadline_s)
        finally:  # an answer that was lost, or that nobody waits for any more, may have been a change all the same
            self._here.ended(method, request)
        self._here.after(method, request, answer, generation)
        return answer

    def _streamed(self, method: str) -> Callable[..., Any]:
        async def forward(request: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> AsyncIterator[bytes]:
            await self._registry.until_started(context.time_remaining() or COMMIT_DEADLINE_S)
            stub = self._registry.channel.unary_stream(method, None, None)
            try:
                with self._registry.counted(), self._registry.tracing.span(f"forward {method[1:]}"):
                    async for answer in stub(request, metadata=self._registry.metadata):
                        yield answer
            except grpc.aio.AioRpcError as error:
                self._registry.has_new_token(error)  # for whoever repeats the call
                raise to_error(error, self._registry.address) from error

        return forward

    async def _answer(self, stub: Callable[..., Any], request: bytes, deadline_s: float) -> bytes:
        try:
            return cast(bytes, await stub(request, timeout=deadline_s, metadata=self._registry.metadata))
        except grpc.aio.AioRpcError as error:
            if not self._registry.has_new_token(error):
                raise to_error(error, self._registry.address) from error
        try:
            return cast(bytes, await stub(request, timeout=deadline_s, metadata=self._registry.metadata))
        except grpc.aio.AioRpcError as error:
            raise to_error(error, self._registry.address) from error
