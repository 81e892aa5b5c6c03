"""One client of a registry under load: makes the calls that a daemon makes, and notes how long each took."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
import urllib.request
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from holdfast_registry.bench.content import Content
from holdfast_registry.bench.timings import Timings
from holdfastpb.registry.v1 import collection_pb2_grpc, pack_pb2_grpc, version_pb2_grpc
from holdfastpb.registry.v1.collection_pb2 import DeleteCollectionRequest, ListCollectionsRequest
from holdfastpb.registry.v1.pack_pb2 import (
    FindMissingRequest,
    GrantPacksRequest,
    PackGrant,
    PackIntent,
    SealPackRequest,
    WritePackRequest,
)
from holdfastpb.registry.v1.version_pb2 import (
    BeginVersionRequest,
    CommitVersionRequest,
    ListVersionsRequest,
    ResolveVersionRequest,
    UpdateVersionRequest,
)

CALL_TIMEOUT_S = 60.0
PIECE_BYTES = 1 << 20
PAGE_VERSIONS = 50
TYPE = "dataset"
MOVING_ALIAS = "moving"
VERSIONS_KEPT = 100
"""Ids that a client remembers for its aliases."""


class CallFailedError(Exception):
    """A call was refused or not answered; it was counted."""


class Client:
    """Calls one registry in one project."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        token: str | None,
        where: tuple[str, str],
        timings: Timings,
        chance: random.Random,
    ) -> None:
        """Puts it together.

        Args:
            channel: to the registry.
            token: None on a Unix socket.
            where: entity and project.
            timings: get every call.
            chance: chooses.
        """
        self._versions: Any = version_pb2_grpc.VersionServiceStub(channel)
        self._packs: Any = pack_pb2_grpc.PackServiceStub(channel)
        self._collections: Any = collection_pb2_grpc.CollectionServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._entity, self._project = where
        self._timings = timings
        self._chance = chance
        self._gives_sha256 = False
        self._logged: list[str] = []

    async def log(self, collection: str, content: Content) -> None:
        """Brings a version, from begin to commit.

        Raises:
            CallFailedError: one of its calls failed.
        """
        started_s = time.perf_counter()
        begun = await self._call("begin", self._versions.BeginVersion, self._begin_request(collection))
        lease_id = begun.lease.lease_id
        wanted = FindMissingRequest(lease_id=lease_id, digests=content.digests)
        await self._call("find-missing", self._packs.FindMissing, wanted)
        pack_id = os.urandom(16)
        pack = content.pack(pack_id)
        await self._bring(lease_id, pack_id, pack, len(content.chunks))
        brought = SealPackRequest(lease_id=lease_id, pack_id=pack_id, size_bytes=len(pack))
        await self._call("seal", self._packs.SealPack, brought)
        wish = CommitVersionRequest(
            request_id=str(uuid.uuid4()),
            version_id=begun.version_id,
            lease_id=lease_id,
            artifact_digest=content.artifact_digest,
            manifest_root=content.root_digest,
        )
        await self._call("commit", self._versions.CommitVersion, wish)
        self._timings.add("version, begin to commit", time.perf_counter() - started_s)
        self._logged = [*self._logged[-VERSIONS_KEPT:], begun.version_id]

    async def resolve(self, collection: str) -> None:
        """Looks the latest version up."""
        request = ResolveVersionRequest(
            entity=self._entity, project=self._project, collection=collection, alias="latest"
        )
        await self._call("resolve", self._versions.ResolveVersion, request)

    async def move_alias(self) -> None:
        """Gives an alias to one of the versions that this client has logged; of none before the first."""
        if self._logged:
            request = UpdateVersionRequest(
                request_id=str(uuid.uuid4()),
                version_id=self._chance.choice(self._logged),
                aliases_to_add=[MOVING_ALIAS],
            )
            await self._call("move alias", self._versions.UpdateVersion, request)

    async def list(self, collection: str) -> None:
        """Reads the first page of a collection's versions."""
        request = ListVersionsRequest(
            entity=self._entity, project=self._project, collection=collection, page_size=PAGE_VERSIONS
        )
        await self._call("list", self._versions.ListVersions, request)

    async def delete_all(self) -> int:
        """Deletes the project's collections with their versions; returns how many versions that were."""
        deleted = 0
        while True:
            listing = ListCollectionsRequest(entity=self._entity, project=self._project)
            found = (await self._call("clean up", self._collections.ListCollections, listing)).collections
            if not found:
                return deleted
            for collection in found:
                request = DeleteCollectionRequest(request_id=str(uuid.uuid4()), collection_id=collection.collection_id)
                deleted += (await self._call("clean up", self._collections.DeleteCollection, request)).versions_deleted

    def _begin_request(self, collection: str) -> BeginVersionRequest:
        return BeginVersionRequest(
            request_id=str(uuid.uuid4()),
            entity=self._entity,
            project=self._project,
            collection=collection,
            type=TYPE,
        )

    async def _bring(self, lease_id: str, pack_id: bytes, pack: bytes, chunks: int) -> None:
        intent = PackIntent(pack_id=pack_id, size_bytes=len(pack), chunk_count=chunks)
        if self._gives_sha256:
            intent.sha256 = hashlib.sha256(pack).digest()
        request = GrantPacksRequest(lease_id=lease_id, packs=[intent])
        grant = (await self._call("grant", self._packs.GrantPacks, request)).grants[0]
        if grant.needs_sha256:
            self._gives_sha256 = True
            await self._bring(lease_id, pack_id, pack, chunks)
            return
        await self._timed("transfer", lambda: self._transfer(lease_id, grant, pack))

    async def _transfer(self, lease_id: str, grant: PackGrant, pack: bytes) -> None:
        if grant.WhichOneof("how") == "filesystem":
            await asyncio.to_thread(Path(grant.filesystem.path).write_bytes, pack)
        elif grant.WhichOneof("how") == "http":
            await asyncio.to_thread(_put, grant.http.url, dict(grant.http.headers), pack)
        else:
            messages = [
                WritePackRequest(
                    lease_id=lease_id,
                    pack_id=grant.pack_id,
                    offset=at,
                    data=pack[at : at + PIECE_BYTES],
                    finish=at + PIECE_BYTES >= len(pack),
                )
                for at in range(0, len(pack), PIECE_BYTES)
            ]
            await self._packs.WritePack(iter(messages), timeout=CALL_TIMEOUT_S, metadata=self._metadata)

    async def _call(self, what: str, method: Any, request: Any) -> Any:
        return await self._timed(what, lambda: self._ask(method, request))

    async def _ask(self, method: Any, request: Any) -> Any:
        return await method(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata)

    async def _timed(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        started_s = time.perf_counter()
        try:
            answer = await call()
        except (grpc.aio.AioRpcError, OSError) as error:
            self._timings.add_failure(what)
            raise CallFailedError(f"{what}: {_words(error)}") from error
        self._timings.add(what, time.perf_counter() - started_s)
        return answer


def _put(url: str, headers: dict[str, str], pack: bytes) -> None:
    request = urllib.request.Request(url, pack, headers, method="PUT")
    urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S).close()


def _words(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return type(error).__name__  # without the address, which is a secret
