"""VersionService on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_contract.names import (
    check_collection_name,
    check_entity,
    check_project,
    check_tags,
    check_user_aliases,
    is_registry_project,
)
from holdfast_registry.database.commits import CommitRepository
from holdfast_registry.database.links import LinkRepository, LinkWish
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.paging import PageWish
from holdfast_registry.database.version_lists import CollectionVersions, VersionListRepository, VersionQuery
from holdfast_registry.database.versions import VersionChange, VersionRepository
from holdfast_registry.distributed_version import DistributedVersions
from holdfast_registry.domain.filters import COLLECTION_FIELDS, PROJECT_FIELDS, VERSION_FIELDS, parse_filter
from holdfast_registry.domain.records import CollectionName, VersionRecord
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.freed_bytes import FreedBytes
from holdfast_registry.manifest_check import ManifestChecker
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import (
    checked_description,
    checked_metadata,
    edge_kind,
    once_of,
    page_number,
    page_size,
    page_wish,
    ttl_of,
    version_message,
)
from holdfast_registry.rpc.version_writing import VersionWriting
from holdfast_registry.version_commit import VersionCommitter
from holdfastpb.registry.v1 import version_pb2


@dataclass(frozen=True, slots=True)
class CommittedVersions:
    """What the calls on versions that are committed need."""

    versions: VersionRepository
    lists: VersionListRepository
    links: LinkRepository
    freed: FreedBytes
    manifests: ManifestChecker
    threads: FileThreads


class VersionServicer(VersionWriting):
    """Unpacks, calls, packs."""

    def __init__(
        self,
        commits: CommitRepository,
        committer: VersionCommitter,
        distributed: DistributedVersions,
        packs: PackRepository,
        committed: CommittedVersions,
    ) -> None:
        super().__init__(commits, committer, distributed, packs)
        self._versions = committed.versions
        self._lists = committed.lists
        self._links = committed.links
        self._freed = committed.freed
        self._manifests = committed.manifests
        self._threads = committed.threads

    async def GetVersion(
        self, request: version_pb2.GetVersionRequest, context: Context
    ) -> version_pb2.GetVersionResponse:
        """Returns a version."""
        return version_pb2.GetVersionResponse(version=version_message(await self._versions.get(request.version_id)))

    async def ResolveVersion(
        self, request: version_pb2.ResolveVersionRequest, context: Context
    ) -> version_pb2.ResolveVersionResponse:
        """Returns the version that has a name."""
        name = CollectionName(request.entity, request.project, request.collection)
        record = await self._versions.resolve(name, request.alias, numbers_first=request.numbers_first)
        return version_pb2.ResolveVersionResponse(version=version_message(record))

    async def ListVersions(
        self, request: version_pb2.ListVersionsRequest, context: Context
    ) -> version_pb2.ListVersionsResponse:
        """Lists versions."""
        wanted = CollectionVersions(
            name=CollectionName(request.entity, request.project, request.collection),
            type=request.type,
            tags=tuple(request.tags),
            filter=parse_filter(request.filter_json, VERSION_FIELDS),
        )
        page = await self._lists.of_collection(wanted, page_wish(request), oldest_first=request.oldest_first)
        return version_pb2.ListVersionsResponse(
            versions=map(version_message, page.versions),
            next_page_token=page.next_token,
            total_count=page.total_count,
        )

    async def SearchVersions(
        self, request: version_pb2.SearchVersionsRequest, context: Context
    ) -> version_pb2.SearchVersionsResponse:
        """Finds versions."""
        query = VersionQuery(
            entity=request.entity,
            project=request.project,
            type=request.type,
            filter=parse_filter(request.filter_json, VERSION_FIELDS),
            collection_filter=parse_filter(request.collection_filter_json, COLLECTION_FIELDS),
            registry_filter=parse_filter(request.registry_filter_json, PROJECT_FIELDS),
            of_registries=request.only_registries or is_registry_project(request.project),
        )
        if not request.page_size:
            return version_pb2.SearchVersionsResponse(
                total_count=await self._lists.count(query), freed_bytes=await self._freed.bytes_of(query)
            )
        page = await self._lists.search(query, page_wish(request))
        return version_pb2.SearchVersionsResponse(
            versions=map(version_message, page.versions),
            next_page_token=page.next_token,
            total_count=page.total_count,
        )

    async def ListRunArtifacts(
        self, request: version_pb2.ListRunArtifactsRequest, context: Context
    ) -> version_pb2.ListRunArtifactsResponse:
        """Lists the versions that a run logged or used."""
        wish = PageWish(page_size(request.page_size), request.page_token, "")
        page = await self._lists.of_run(request.entity, request.project, request.run_id, edge_kind(request.kind), wish)
        return version_pb2.ListRunArtifactsResponse(
            versions=map(version_message, page.versions),
            next_page_token=page.next_token,
            total_count=page.total_count,
        )

    async def ListManifestSegments(
        self, request: version_pb2.ListManifestSegmentsRequest, context: Context
    ) -> version_pb2.ListManifestSegmentsResponse:
        """Returns a page of a manifest."""
        record = await self._distributed.readable(request.version_id)
        segments, next_first, root = await self._threads.run(
            self._manifests.page,
            record.name.entity,
            record.manifest_root,
            first=page_number(request.page_token) or 0,
            path_prefix=request.path_prefix,
        )
        return version_pb2.ListManifestSegmentsResponse(
            segments=segments,
            next_page_token="" if next_first is None else str(next_first),
            entry_count=root.entry_count,
            size_bytes=root.size_bytes,
        )

    async def UpdateVersion(
        self, request: version_pb2.UpdateVersionRequest, context: Context
    ) -> version_pb2.UpdateVersionResponse:
        """Changes a version."""
        check_tags(request.tags_to_add)
        description = None if request.description_is_null else checked_description(request.description)
        change = VersionChange(
            version_id=request.version_id,
            expected_etag=request.expected_etag,
            sets_description=request.set_description,
            description=description,
            metadata_json=checked_metadata(request.metadata_json) if request.set_metadata else None,
            aliases_to_add=tuple(request.aliases_to_add),
            aliases_to_remove=tuple(request.aliases_to_remove),
            tags_to_add=tuple(request.tags_to_add),
            tags_to_remove=tuple(request.tags_to_remove),
            ttl=ttl_of(request.ttl) if request.set_ttl else None,
            link_id=request.link_id,
        )
        response = await self._versions.update(change, once_of(request, _updated_message))
        return version_pb2.UpdateVersionResponse.FromString(response)

    async def DeleteVersion(
        self, request: version_pb2.DeleteVersionRequest, context: Context
    ) -> version_pb2.DeleteVersionResponse:
        """Deletes a version."""
        response = await self._versions.delete(
            request.version_id, once_of(request, _deleted_message), delete_aliases=request.delete_aliases
        )
        return version_pb2.DeleteVersionResponse.FromString(response)

    async def RestoreVersion(
        self, request: version_pb2.RestoreVersionRequest, context: Context
    ) -> version_pb2.RestoreVersionResponse:
        """Takes a deletion back."""
        check_entity(request.entity)
        check_project(request.project)
        check_collection_name(request.collection)
        name = CollectionName(request.entity, request.project, request.collection)
        response = await self._versions.restore(name, request.version_index, once_of(request, _restored_message))
        return version_pb2.RestoreVersionResponse.FromString(response)

    async def LinkVersion(
        self, request: version_pb2.LinkVersionRequest, context: Context
    ) -> version_pb2.LinkVersionResponse:
        """Links a version."""
        check_entity(request.entity)
        check_project(request.project)
        check_collection_name(request.collection)
        check_user_aliases(request.aliases)
        target = CollectionName(request.entity, request.project, request.collection)
        wish = LinkWish(request.version_id, target, tuple(request.aliases))
        response = await self._links.link(wish, once_of(request, _linked_message))
        return version_pb2.LinkVersionResponse.FromString(response)

    async def UnlinkVersion(
        self, request: version_pb2.UnlinkVersionRequest, context: Context
    ) -> version_pb2.UnlinkVersionResponse:
        """Removes a link."""
        response = await self._links.unlink(request.link_id, once_of(request, _unlinked_message))
        return version_pb2.UnlinkVersionResponse.FromString(response)

    async def ListLinks(self, request: version_pb2.ListLinksRequest, context: Context) -> version_pb2.ListLinksResponse:
        """Lists the links of a version."""
        records = await self._links.links_of(request.version_id)
        return version_pb2.ListLinksResponse(versions=map(version_message, records))


def _updated_message(record: VersionRecord) -> version_pb2.UpdateVersionResponse:
    return version_pb2.UpdateVersionResponse(version=version_message(record))


def _deleted_message(record: VersionRecord) -> version_pb2.DeleteVersionResponse:
    return version_pb2.DeleteVersionResponse(version=version_message(record))


def _restored_message(record: VersionRecord) -> version_pb2.RestoreVersionResponse:
    return version_pb2.RestoreVersionResponse(version=version_message(record))


def _linked_message(record: VersionRecord) -> version_pb2.LinkVersionResponse:
    return version_pb2.LinkVersionResponse(version=version_message(record))


def _unlinked_message(_: None) -> version_pb2.UnlinkVersionResponse:
    return version_pb2.UnlinkVersionResponse()
