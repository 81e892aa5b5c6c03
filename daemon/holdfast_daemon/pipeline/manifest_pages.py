"""Reads a version's manifest from the registry, page by page, and lets nothing through that breaks the contract."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from holdfast_contract.errors import ContractError
from holdfast_contract.limits import FIND_MISSING_DEADLINE_S
from holdfast_contract.manifest_order import ManifestOrder
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import decode_entries
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.registry.v1.version_pb2 import (
    GetVersionRequest,
    ListManifestSegmentsRequest,
    ListManifestSegmentsResponse,
    Version,
    VersionState,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, encoded for the workers and decoded for the loop."""

    encoded: bytes
    entries: EntryColumns


class ManifestPages:
    """The manifests of committed versions."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry

    async def get_version(self, version_id: str) -> Version:
        """Loads one version.

        Raises:
            HoldfastError: NOT_FOUND: there is none that can be read.
        """
        response = await self._registry.call(
            self._registry.versions.GetVersion, GetVersionRequest(version_id=version_id)
        )
        version: Version = response.version
        if version.state != VersionState.VERSION_STATE_COMMITTED:
            text = f"version {version_id} is not committed (or was deleted) and cannot be read"
            raise HoldfastError(Reason.NOT_FOUND, text, version_id=version_id)
        return version

    async def segments(self, version_id: str, path_prefix: str = "") -> AsyncIterator[Segment]:
        """Yields the segments that can hold paths with this prefix, in order.

        Raises:
            HoldfastError: MANIFEST_INVALID, INVALID_PATH, PATH_COLLISION, or the registry's error.
        """
        order = ManifestOrder()
        token = ""
        while True:
            page = await self._page(version_id, path_prefix, token)
            for encoded in page.segments:
                entries = decode_entries(encoded)
                try:
                    order.check(entries.paths)
                except ContractError as error:
                    raise HoldfastError(error.reason, error.message) from error
                yield Segment(encoded, entries)
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
        return page
