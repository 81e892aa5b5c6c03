"""Reads a version's manifest from the registry, page by page, and lets nothing through that breaks the contract.

What was read is kept, decoded and within bounds: reading the same version again asks for nothing.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from holdfast_contract.errors import ContractError
from holdfast_contract.limits import FIND_MISSING_DEADLINE_S, KIB, MIB
from holdfast_contract.manifest_order import ManifestOrder
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import decode_entries
from holdfast_daemon.pipeline.known_versions import KnownVersions
from holdfast_daemon.pipeline.segment_cache import Segment, SegmentCache
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.registry.v1.version_pb2 import (
    GetVersionRequest,
    ListManifestSegmentsRequest,
    ListManifestSegmentsResponse,
    Version,
    VersionState,
)

__all__ = ["ManifestPages", "Segment"]

JOURNALLED_BYTES_MAX = 64 * KIB
"""Of a pinned version's manifest that is kept over restarts: about 1,000 entries."""
ANSWER_BYTES_MAX = 3 * MIB
"""Of one answer, as the registry's own pages."""


class ManifestPages:
    """The manifests of committed versions.

    Args:
        registry: is asked.
        known: what it answered before.
    """

    def __init__(self, registry: RegistryClient, known: KnownVersions | None = None) -> None:
        self._registry = registry
        self._known = known or KnownVersions()
        self._cache = SegmentCache()

    async def get_version(self, version_id: str) -> Version:
        """Returns one version; see `known_versions` for how long an answer counts.

        Raises:
            HoldfastError: NOT_FOUND: there is none that can be read.
        """
        known = self._known.get(version_id)
        if known is not None:
            return known
        return await self.ask_for_version(version_id)

    async def ask_for_version(self, version_id: str) -> Version:
        """Loads one version from the registry, whatever is known of it.  Raises as `get_version`."""
        generation = self._known.generation
        try:
            response = await self._registry.call(
                self._registry.versions.GetVersion, GetVersionRequest(version_id=version_id)
            )
        except HoldfastError as error:
            if error.reason is Reason.NOT_FOUND:
                self._known.forget(version_id)
            raise
        version: Version = response.version
        self._known.learn(version, generation)
        if version.state != VersionState.VERSION_STATE_COMMITTED:
            text = f"version {version_id} is not committed (or was deleted) and cannot be read"
            raise HoldfastError(Reason.NOT_FOUND, text, version_id=version_id)
        return version

    async def segments(self, version_id: str, path_prefix: str = "") -> AsyncGenerator[Segment, None]:
        """Yields the segments that can hold paths with this prefix, in order.

        Raises:
            HoldfastError: MANIFEST_INVALID, INVALID_PATH, PATH_COLLISION, or the registry's error.
        """
        whole = self._cache.whole(version_id) or await self._from_journal(version_id)
        if whole is not None:
            for segment in _holding(whole, path_prefix):
                yield segment
            return
        count = size_bytes = 0
        async with aclosing(self._from_registry(version_id, path_prefix)) as segments:
            async for segment in segments:
                count, size_bytes = count + 1, size_bytes + len(segment.encoded)
                self._cache.put(version_id, segment)
                yield segment
        if not path_prefix:
            self._cache.set_whole(version_id, count)
            self._keep_small(version_id, size_bytes)

    async def segment_of(self, version_id: str, path: str) -> Segment | None:
        """Returns the segment that has this path, or would have it.  Raises as `segments`."""
        found = self._cache.find(version_id, path)
        if found is not None:
            return found
        async with aclosing(self.segments(version_id, path)) as segments:
            async for segment in segments:
                if segment.entries.paths[0] <= path <= segment.entries.paths[-1]:
                    return segment
        return None

    def answer(self, request: ListManifestSegmentsRequest) -> ListManifestSegmentsResponse | None:
        """Returns what the registry would answer to this, if it is all here and fits into one answer."""
        version = self._known.get(request.version_id)
        whole = self._cache.whole(request.version_id)
        if whole is None or version is None or request.page_token:
            return None
        segments = [segment.encoded for segment in _holding(whole, request.path_prefix)]
        if sum(map(len, segments)) > ANSWER_BYTES_MAX:
            return None
        return ListManifestSegmentsResponse(
            segments=segments, entry_count=version.entry_count, size_bytes=version.size_bytes
        )

    async def _from_registry(self, version_id: str, path_prefix: str) -> AsyncGenerator[Segment, None]:
        order = ManifestOrder()
        token = ""
        while True:
            page = await self._page(version_id, path_prefix, token)
            for segment in _decoded(page, order):
                yield segment
            if not page.next_page_token:
                return
            if page.next_page_token == token or not page.segments:
                raise HoldfastError(Reason.MANIFEST_INVALID, f"the manifest of {version_id} has pages without end")
            token = page.next_page_token

    async def _page(self, version_id: str, path_prefix: str, token: str) -> ListManifestSegmentsResponse:
        request = ListManifestSegmentsRequest(version_id=version_id, page_token=token, path_prefix=path_prefix)
        page: ListManifestSegmentsResponse = await self._registry.call(
            self._registry.versions.ListManifestSegments, request, deadline_s=FIND_MISSING_DEADLINE_S
        )
        self._registry.fetched_bytes += page.ByteSize()
        return page

    async def _from_journal(self, version_id: str) -> list[Segment] | None:
        kept = await self._known.load_manifest(version_id)
        if kept is None:
            return None
        segments = list(_decoded(ListManifestSegmentsResponse.FromString(kept), ManifestOrder()))
        for segment in segments:
            self._cache.put(version_id, segment)
        self._cache.set_whole(version_id, len(segments))
        return segments

    def _keep_small(self, version_id: str, size_bytes: int) -> None:
        whole = self._cache.whole(version_id)
        if whole is not None and size_bytes <= JOURNALLED_BYTES_MAX and self._known.is_pinned(version_id):
            kept = ListManifestSegmentsResponse(segments=[segment.encoded for segment in whole])
            self._known.keep_manifest(version_id, kept.SerializeToString())


def _decoded(page: ListManifestSegmentsResponse, order: ManifestOrder) -> Iterator[Segment]:
    for encoded in page.segments:
        entries = decode_entries(encoded)
        try:
            order.check(entries.paths)
        except ContractError as error:
            raise HoldfastError(error.reason, error.message) from error
        yield Segment(encoded, entries)


def _holding(segments: list[Segment], prefix: str) -> Iterator[Segment]:
    """Those that can have paths with this prefix."""
    for segment in segments:
        first, last = segment.entries.paths[0], segment.entries.paths[-1]
        if last >= prefix and (first <= prefix or first.startswith(prefix)):
            yield segment
