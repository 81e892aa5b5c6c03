"""Packs as objects of one bucket, on any server that speaks S3.

    <prefix>packs/ab/<32 hex>.pack      (ab: the first two digits)
    <prefix>epoch                       the restore epoch
    <prefix>catalogue/…                 what the packs are called, for the day on which the database is lost

A daemon PUTs a pack itself, by an address that allows exactly these bytes under exactly this key for a quarter of an hour.

Write order of a pack:
  1. PUT by its writer, answered                         crash after: it is sealed later, or discarded with its lease
  2. the registry reads it back and checks every chunk   crash after: as before
  3. the database's transaction (elsewhere)              crash after: it serves

The client is asyncio's and runs in a thread of its own; packs are read in threads, by addresses that are signed here, and checked
in file threads.  Neither TLS nor the bytes of a pack take time from the loop that answers calls.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from holdfast_contract.pack import PACK_HEADER_BYTES
from holdfast_registry.blobstore.epoch import EPOCH_NAME
from holdfast_registry.blobstore.records import RECORDS_FOLDER
from holdfast_registry.blobstore.s3_counting import count_requests
from holdfast_registry.blobstore.s3_gets import S3Gets
from holdfast_registry.blobstore.s3_packs import (
    BLOCK_BYTES,
    CACHED_BYTES_MAX,
    Block,
    BlockPool,
    RangeCache,
    S3Pack,
    S3PackEnds,
    WholeS3Pack,
)
from holdfast_registry.blobstore.s3_place import S3Place
from holdfast_registry.blobstore.s3_probe import probe
from holdfast_registry.blobstore.s3_signing import S3Credentials, UrlSigner
from holdfast_registry.blobstore.s3_transfers import LATE_WRITES_S
from holdfast_registry.blobstore.store import PackGoneError, StoredNames, StoreUnavailableError
from holdfast_registry.clock import Clock
from holdfast_registry.errors import StartError
from holdfast_registry.metrics.tallies import StoreTally

logger = logging.getLogger(__name__)
T = TypeVar("T")

CONNECTIONS_MAX = 32
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
OWN_URL_TTL_S = 900
"""Of an address that is used at once: what clocks may differ by, and no more than any other's."""
SIZES_KNOWN_MAX = 100_000
"""Packs of which is known that they are there: 10 MB of memory, 6 TB of packs."""
PACKS_PREFIX = "packs/"
_PACK_KEY = re.compile(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{30})\.pack")
_FAILURES = (BotoCoreError, ClientError, aiohttp.ClientError, TimeoutError, OSError)


class S3Store:
    """Packs of one bucket.  All calls block, except those of the loop's own thread."""

    late_writes_s = LATE_WRITES_S

    def __init__(self, place: S3Place, clock: Clock) -> None:
        """Makes a client; asks the server nothing.

        Raises:
            StartError: the settings or credentials are of no use.
        """
        self._place = place
        self._clock = clock
        self.tally = StoreTally()
        self._cache = RangeCache()
        self._blocks = BlockPool()
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._sizes_lock = threading.Lock()
        self._knows_conditions = True
        self._checks_bytes = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="s3", daemon=True)
        self._thread.start()
        self._gets = S3Gets(self._own_address, self.tally, place.url, CONNECTIONS_MAX, place.attempts_max)
        self._stack = AsyncExitStack()
        try:
            self._wait(self._connect())
        except (BotoCoreError, ValueError) as error:
            self.close()
            raise StartError(f"The store {place.url} cannot be used: {error}") from error
        except StartError:
            self.close()
            raise

    async def _connect(self) -> None:
        session = aioboto3.Session()
        found = await session.get_credentials()
        if found is None:
            raise StartError(
                "There are no credentials for the S3 store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
            )
        self._credentials = found
        config = AioConfig(
            signature_version="s3v4",
            max_pool_connections=CONNECTIONS_MAX,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "max_attempts": self._place.attempts_max},
            # Servers older than these checksums refuse them; where one is wanted it is given.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": {None: "auto", True: "path", False: "virtual"}[self._place.path_style]},
        )
        client = session.client(
            "s3", endpoint_url=self._place.endpoint_url, region_name=self._place.region, config=config
        )
        self._client: Any = await self._stack.enter_async_context(client)
        count_requests(self._client, self.tally)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._region = self._client.meta.region_name or "us-east-1"

    def close(self) -> None:
        """Ends the connections and the thread."""
        self._gets.close()
        self._wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._begin(work).result()

    # --- packs ---

    def put(self, pack_id: bytes, encoded: bytes) -> None:
        """Brings a whole pack that this process has made."""
        checksum = base64.b64encode(hashlib.sha256(encoded).digest()).decode()
        more = self._place.sse_arguments
        self._wait(self._ask("PutObject", Key=self.key(pack_id), Body=encoded, ChecksumSHA256=checksum, **more))

    def open_incoming(self, pack_id: bytes) -> WholeS3Pack | None:
        """Opens a pack that was brought."""
        first = self._blocks.take()
        try:
            found = self._gets.read(self.key(pack_id), 0, BLOCK_BYTES, first)
        except PackGoneError:
            self._forget(pack_id)
            return None
        size_bytes = found.object_bytes
        self._know(pack_id, size_bytes)
        if len(found.data) == size_bytes <= CACHED_BYTES_MAX:
            self._cache.keep_whole(pack_id, bytes(found.data))
        return WholeS3Pack(self, self._cache, self._blocks, pack_id, size_bytes, Block(first, found.data))

    def open_ends(self, pack_id: bytes, size_bytes: int, end_bytes: int) -> S3PackEnds | None:
        """Opens a pack that was brought, of which only the header and the end are going to be read."""
        key, end_at = self.key(pack_id), max(0, size_bytes - end_bytes)
        reading = self._gets.begin(self._gets.read, key, 0, PACK_HEADER_BYTES)
        try:
            end = self._gets.read(key, end_at, size_bytes - end_at)
            header = reading.result()
        except PackGoneError:
            self._forget(pack_id)
            return None
        if header.object_bytes != size_bytes:
            return S3PackEnds(self, self._cache, pack_id, header.object_bytes, b"", b"")
        self._know(pack_id, size_bytes)
        return S3PackEnds(self, self._cache, pack_id, size_bytes, bytes(header.data), bytes(end.data))

    def open_pack(self, pack_id: bytes, *, whole: bool = False) -> S3Pack | None:
        """Opens a pack that serves; asks only for one of which it does not know already that it is there."""
        with self._sizes_lock:
            size_bytes = self._sizes.get(pack_id)
        if size_bytes is None:
            try:
                head = self._wait(self._ask("HeadObject", Key=self.key(pack_id)))
            except PackGoneError:
                return None
            size_bytes = int(head["ContentLength"])
            self._know(pack_id, size_bytes)
        if whole:
            return WholeS3Pack(self, self._cache, self._blocks, pack_id, size_bytes)
        return S3Pack(self, self._cache, pack_id, size_bytes)

    def begin_read(self, pack_id: bytes, offset: int, length: int, into: bytearray | None = None) -> Future[memoryview]:
        """Begins to read a range; see RangeReader."""
        return self._gets.begin(self._read_range, pack_id, offset, length, into)

    def _read_range(self, pack_id: bytes, offset: int, length: int, into: bytearray | None) -> memoryview:
        try:
            return self._gets.read(self.key(pack_id), offset, length, into).data
        except PackGoneError:
            self._forget(pack_id)
            raise

    def discard(self, pack_id: bytes) -> None:
        """Removes a pack that never served."""
        self._forget(pack_id)
        self._wait(self._ask("DeleteObject", Key=self.key(pack_id)))

    def list_names(self) -> StoredNames:
        """Returns every object below the prefix."""
        return self._wait(self._list_names())

    async def _list_names(self) -> StoredNames:
        names = StoredNames()
        async for name in self._names_below(""):
            matched = _PACK_KEY.fullmatch(name)
            if matched:
                names.packs.add(bytes.fromhex(matched[2]))
            elif name != EPOCH_NAME and not name.startswith(f"{RECORDS_FOLDER}/"):
                names.foreign.append(name)
        return names

    async def _names_below(self, start: str) -> AsyncIterator[str]:
        token: dict[str, str] = {}
        while True:
            page = await self._ask("ListObjectsV2", Prefix=f"{self._place.prefix}{start}", **token)
            for listed in page.get("Contents", ()):
                yield listed["Key"][len(self._place.prefix) :]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # --- small objects that are replaced ---

    @property
    def url(self) -> str:
        """Of the store, for people."""
        return self._place.url

    def read_object(self, name: str) -> tuple[bytes, str] | None:
        """Returns an object and its tag; None: there is none."""
        try:
            return self._wait(self._read_object(name))
        except PackGoneError:
            return None

    async def _read_object(self, name: str) -> tuple[bytes, str]:
        answer = await self._ask("GetObject", Key=f"{self._place.prefix}{name}")
        async with answer["Body"] as body:
            return await self._translated("GetObject", body.read()), str(answer["ETag"])

    def write_object(self, name: str, data: bytes, replaced_tag: str | None) -> str | None:
        """Writes an object in the place of the one with this tag (None: of none).

        Returns:
            Its tag; None: another object is there by now.  A server without conditions on PUT replaces whatever is there.
        """
        condition = {"IfNoneMatch": "*"} if replaced_tag is None else {"IfMatch": replaced_tag}
        return self._wait(self._write_object(name, data, condition if self._knows_conditions else {}))

    def list_objects(self, folder: str) -> list[str]:
        """Returns the names of the objects below a folder, without it."""

        async def names() -> list[str]:
            return [name[len(folder) + 1 :] async for name in self._names_below(f"{folder}/")]

        return self._wait(names())

    def delete_object(self, name: str) -> None:
        """Removes an object."""
        self._wait(self._ask("DeleteObject", Key=f"{self._place.prefix}{name}"))

    async def _write_object(self, name: str, data: bytes, condition: dict[str, str]) -> str | None:
        more = {**self._place.sse_arguments, **condition}
        try:
            answer = await self._client.put_object(
                Bucket=self._place.bucket, Key=f"{self._place.prefix}{name}", Body=data, **more
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if condition and code in _CONDITION_FAILED:
                return None
            if condition and code == "NotImplemented":
                return await self._write_object(name, data, {})
            raise StoreUnavailableError(f"PutObject in {self._place.url} was refused with {code}") from error
        except _FAILURES as error:
            text = f"PutObject in {self._place.url} failed ({type(error).__name__})"
            raise StoreUnavailableError(text) from error
        return str(answer["ETag"])

    def key(self, pack_id: bytes) -> str:
        """Returns where a pack lies."""
        name = pack_id.hex()
        return f"{self._place.prefix}{PACKS_PREFIX}{name[:2]}/{name}.pack"

    def _know(self, pack_id: bytes, size_bytes: int) -> None:
        with self._sizes_lock:
            self._sizes[pack_id] = size_bytes
            if len(self._sizes) > SIZES_KNOWN_MAX:
                self._sizes.popitem(last=False)

    def _forget(self, pack_id: bytes) -> None:
        self._cache.forget(pack_id)
        with self._sizes_lock:
            self._sizes.pop(pack_id, None)

    # --- requests ---

    async def _ask(self, operation: str, **arguments: Any) -> Any:
        method = getattr(self._client, _METHODS[operation])
        return await self._translated(operation, method(Bucket=self._place.bucket, **arguments))

    async def _translated(self, operation: str, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in ("NoSuchKey", "404", "NotFound"):
                raise PackGoneError(code) from error
            raise StoreUnavailableError(f"{operation} in {self._place.url} was refused with {code}") from error
        except _FAILURES as error:
            text = f"{operation} in {self._place.url} failed ({type(error).__name__})"
            raise StoreUnavailableError(text) from error

    # --- addresses ---

    @property
    def vouches(self) -> bool:
        """Whether the server was seen to refuse other bytes than those that were signed."""
        return self._checks_bytes

    @property
    def put_headers(self) -> dict[str, str]:
        """What every PUT must carry besides what it says of its pack."""
        return {**self._place.sse_headers, **({"if-none-match": "*"} if self._knows_conditions else {})}

    def signer(self) -> UrlSigner:
        """Returns what signs addresses now; of temporary credentials the ones that last longest are taken."""
        return self._wait(self._signer())

    async def _signer(self) -> UrlSigner:
        frozen = await self._credentials.get_frozen_credentials()
        credentials = S3Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        bucket_url = self._place.bucket_url(self._client.meta.endpoint_url)
        return UrlSigner(bucket_url, self._region, credentials, self._clock.now_ms() / 1000)

    def _own_address(self, key: str) -> str:
        """Returns an address for this process itself: it serves one request, at once."""
        # The machine's clock, as the client has it for all other requests.
        signer = replace(self.signer(), bucket_url=self._own_bucket_url(), now_s=time.time())
        return signer.sign("GET", key, {}, OWN_URL_TTL_S)

    def check_server(self) -> None:
        """Tries the server out.

        Raises:
            StartError: it does not answer, or gives presigned uploads no protection.
        """
        try:
            self._wait(self._check_server())
        except StoreUnavailableError as error:
            raise StartError(error.message) from error

    async def _check_server(self) -> None:
        # The registry's own address: the public one may not be reachable from here.
        signer = replace(await self._signer(), bucket_url=self._own_bucket_url())
        pack_id, findings = await self._translated("PutObject", probe(self, signer, self._http))
        if not findings.knows_conditions:
            self._knows_conditions = False
            pack_id, findings = await self._translated("PutObject", probe(self, signer, self._http))
        await self._ask("DeleteObject", Key=self.key(pack_id))
        self._checks_bytes = findings.checks_bytes
        if not (findings.checks_bytes or findings.keeps_first):
            raise StartError(
                f"The S3 server of {self._place.url} neither checks x-amz-checksum-sha256 nor knows If-None-Match, so whoever "
                "has uploaded a pack could replace it after it was checked; use a server or version that does one of them."
            )
        logger.info("store url=%s %s", self._place.url, findings)

    def _own_bucket_url(self) -> str:
        return replace(self._place, public_endpoint_url=None).bucket_url(self._client.meta.endpoint_url)


_CONDITION_FAILED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "NoSuchKey", "404"})
"""If-Match of an object that is gone is answered with 404 by some servers."""
_METHODS = {
    "PutObject": "put_object",
    "GetObject": "get_object",
    "HeadObject": "head_object",
    "DeleteObject": "delete_object",
    "ListObjectsV2": "list_objects_v2",
}
