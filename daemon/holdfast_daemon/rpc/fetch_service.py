"""FetchService on the daemon's socket: unpacks requests, packs progress, turns errors into status and detail."""

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import Any

import grpc.aio

from holdfast_contract.errors import ContractError
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch import DownloadOrder, Fetch
from holdfast_daemon.pipeline.path_patterns import EntryFilter
from holdfast_daemon.pipeline.read_entry import ReadEntry
from holdfast_daemon.pipeline.verify import Verify
from holdfastpb.daemon.v1.fetch_pb2 import (
    DownloadRequest,
    DownloadResponse,
    EntryContent,
    ReadEntriesRequest,
    ReadEntriesResponse,
    ReadEntryRequest,
    ReadEntryResponse,
    VerifyRequest,
    VerifyResponse,
)
from holdfastpb.daemon.v1.fetch_pb2_grpc import FetchServiceServicer

PATHS_MAX = 1000
"""Names in one request; more are a prefix or a whole version."""

Context = grpc.aio.ServicerContext[Any, Any]


class FetchService(FetchServiceServicer):
    """Thin: all rules are in the pipeline.  A HoldfastError leaves as it is; the server's interceptor gives it its status."""

    def __init__(self, fetch: Fetch, verify: Verify, read_entry: ReadEntry) -> None:
        self._fetch = fetch
        self._verify = verify
        self._read_entry = read_entry

    async def Download(self, request: DownloadRequest, context: Context) -> AsyncIterator[DownloadResponse]:
        """See the proto."""
        _check_root(request.root)
        _check_count(request.paths)
        order = DownloadOrder(
            request.version_id,
            request.root,
            request.path_prefix,
            frozenset(request.paths),
            request.exact,
            request.allow_missing_references,
            request.skip_cache,
            EntryFilter(tuple(request.include), tuple(request.exclude)),
            request.overwrite,
            request.name_kept,
        )
        async with aclosing(self._fetch.download(order)) as updates:
            async for p in updates:
                yield DownloadResponse(
                    entries_total=p.entries_total,
                    entries_done=p.entries_done,
                    bytes_total=p.bytes_total,
                    bytes_done=p.bytes_done,
                    bytes_kept=p.bytes_kept,
                    done=p.done,
                    warnings=p.warnings if p.done else (),
                    unresolved_references=p.unresolved_references if p.done else (),
                    kept_paths=p.kept if p.done else (),
                    kept_total=p.kept_total if p.done else 0,
                )

    async def Verify(self, request: VerifyRequest, context: Context) -> AsyncIterator[VerifyResponse]:
        """See the proto."""
        _check_root(request.root)
        async with aclosing(self._verify.verify(request.version_id, request.root)) as updates:
            async for p in updates:
                yield VerifyResponse(
                    entries_total=p.entries_total,
                    entries_done=p.entries_done,
                    done=p.done,
                    missing_paths=p.missing,
                    damaged_paths=p.damaged,
                    extra_paths=[path.encode("utf-8", "replace").decode() for path in p.extra],
                    references_skipped=p.references_skipped,
                )

    async def ReadEntry(self, request: ReadEntryRequest, context: Context) -> AsyncIterator[ReadEntryResponse]:
        """See the proto."""
        try:
            check_path(request.path)
        except ContractError as error:
            raise HoldfastError(error.reason, error.message) from error
        pieces = self._read_entry.read(request.version_id, request.path, request.offset, request.length)
        async with aclosing(pieces) as parts:
            async for data in parts:
                yield ReadEntryResponse(data=data)

    async def ReadEntries(self, request: ReadEntriesRequest, context: Context) -> AsyncIterator[ReadEntriesResponse]:
        """See the proto."""
        _check_count(request.paths)
        async with aclosing(self._read_entry.read_small(request.version_id, request.paths)) as messages:
            async for contents in messages:
                yield ReadEntriesResponse(entries=[EntryContent(number=number, data=data) for number, data in contents])


def _check_count(paths: Collection[str]) -> None:
    if len(paths) > PATHS_MAX:
        text = f"{len(paths)} paths in one request, at most {PATHS_MAX} are allowed; use a prefix"
        raise HoldfastError(Reason.TOO_LARGE, text)


def _check_root(root: bytes) -> None:
    if not root.startswith(b"/") or b"\0" in root:
        raise HoldfastError(Reason.INVALID_ARGUMENT, f"the folder {root!r} is not an absolute path")
