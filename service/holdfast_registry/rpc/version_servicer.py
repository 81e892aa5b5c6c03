"""VersionService on the wire."""

from __future__ import annotations

from holdfast_contract.digest import from_hex
from holdfast_contract.limits import DIGEST_BYTES
from holdfast_contract.names import (
    check_artifact_name,
    check_collection_name,
    check_entity,
    check_project,
    check_tags,
    check_type_name,
    check_user_aliases,
)
from holdfast_registry.database.commits import Begun, CommitRepository, Committed, CommitWish
from holdfast_registry.database.links import LinkRepository, LinkWish
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.versions import PageWish, VersionChange, VersionRepository
from holdfast_registry.domain.records import CollectionName, VersionRecord
from holdfast_registry.errors import invalid
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.manifest_check import ManifestChecker, MissingChunks
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import (
    checked_description,
    checked_metadata,
    lease_message,
    once_of,
    page_number,
    page_size,
    run_record,
    ttl_of,
    version_message,
)
from holdfast_registry.version_commit import VersionCommitter
from holdfastpb.registry.v1 import version_pb2, version_pb2_grpc


class VersionServicer(version_pb2_grpc.VersionServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(
        self,
        commits: CommitRepository,
        committer: VersionCommitter,
        versions: VersionRepository,
        links: LinkRepository,
        packs: PackRepository,
        manifests: ManifestChecker,
        threads: FileThreads,
    ) -> None:
        self._commits = commits
        self._committer = committer
        self._versions = versions
        self._links = links
        self._packs = packs
        self._manifests = manifests
        self._threads = threads

    async def BeginVersion(
        self, request: version_pb2.BeginVersionRequest, context: Context
    ) -> version_pb2.BeginVersionResponse:
        """Begins a version."""
        check_entity(request.entity)
        check_project(request.project)
        check_artifact_name(request.collection)
        # Types that users may not take are refused where users give them; Holdfast's own come this way, too.
        check_type_name(request.type, request.collection, internal=True)
        name = CollectionName(request.entity, request.project, request.collection)
        response = await self._commits.begin(name, request.type, once_of(request, _begun_message))
        return version_pb2.BeginVersionResponse.FromString(response)

    async def RenewLease(
        self, request: version_pb2.RenewLeaseRequest, context: Context
    ) -> version_pb2.RenewLeaseResponse:
        """Renews a lease."""
        return version_pb2.RenewLeaseResponse(lease=lease_message(await self._packs.renew(request.lease_id)))

    async def CommitVersion(
        self, request: version_pb2.CommitVersionRequest, context: Context
    ) -> version_pb2.CommitVersionResponse:
        """Commits a version."""
        if len(request.manifest_root) not in (0, DIGEST_BYTES):
            raise invalid(f"manifest_root has {DIGEST_BYTES} bytes or none, not {len(request.manifest_root)}.")
        answer = await self._committer.commit(
            _commit_wish(request), request.manifest_root, once_of(request, _committed_message)
        )
        if isinstance(answer, bytes):
            return version_pb2.CommitVersionResponse.FromString(answer)
        if isinstance(answer, MissingChunks):
            return version_pb2.CommitVersionResponse(missing_digests=b"".join(answer.digests))
        return version_pb2.CommitVersionResponse(manifest_needed=True)

    async def AbortVersion(
        self, request: version_pb2.AbortVersionRequest, context: Context
    ) -> version_pb2.AbortVersionResponse:
        """Aborts a version."""
        await self._commits.abort(request.version_id)
        return version_pb2.AbortVersionResponse()

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
        record = await self._versions.resolve(name, request.alias)
        return version_pb2.ResolveVersionResponse(version=version_message(record))

    async def ListVersions(
        self, request: version_pb2.ListVersionsRequest, context: Context
    ) -> version_pb2.ListVersionsResponse:
        """Lists versions."""
        page = await self._versions.list(
            PageWish(
                name=CollectionName(request.entity, request.project, request.collection),
                type=request.type,
                size=page_size(request.page_size),
                after_index=page_number(request.page_token),
                oldest_first=request.oldest_first,
                tags=tuple(request.tags),
            )
        )
        return version_pb2.ListVersionsResponse(
            versions=map(version_message, page.versions),
            next_page_token="" if page.next_index is None else str(page.next_index),
            total_count=page.total_count,
        )

    async def ListManifestSegments(
        self, request: version_pb2.ListManifestSegmentsRequest, context: Context
    ) -> version_pb2.ListManifestSegmentsResponse:
        """Returns a page of a manifest."""
        record = await self._versions.get(request.version_id)
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


def _begun_message(begun: Begun) -> version_pb2.BeginVersionResponse:
    return version_pb2.BeginVersionResponse(
        version_id=begun.version_id,
        lease=lease_message(begun.lease),
        latest_digest="" if begun.latest is None else begun.latest.digest.hex(),
        latest_manifest_root=b"" if begun.latest is None else begun.latest.manifest_root,
    )


def _commit_wish(request: version_pb2.CommitVersionRequest) -> CommitWish:
    check_user_aliases(request.aliases)
    check_tags(request.tags)
    return CommitWish(
        version_id=request.version_id,
        lease_id=request.lease_id,
        artifact_digest=from_hex(request.artifact_digest),
        description=checked_description(request.description) if request.has_description else None,
        metadata_json=checked_metadata(request.metadata_json),
        aliases=tuple(request.aliases),
        tags=tuple(request.tags),
        run=run_record(request.run) if request.HasField("run") else None,
        history_step=request.history_step if request.has_history_step else None,
        use_after_commit=request.use_after_commit,
        ttl=ttl_of(request.ttl),
    )


def _committed_message(committed: Committed) -> version_pb2.CommitVersionResponse:
    return version_pb2.CommitVersionResponse(version=version_message(committed.version), created=committed.created)


def _updated_message(record: VersionRecord) -> version_pb2.UpdateVersionResponse:
    return version_pb2.UpdateVersionResponse(version=version_message(record))


def _deleted_message(record: VersionRecord) -> version_pb2.DeleteVersionResponse:
    return version_pb2.DeleteVersionResponse(version=version_message(record))


def _linked_message(record: VersionRecord) -> version_pb2.LinkVersionResponse:
    return version_pb2.LinkVersionResponse(version=version_message(record))


def _unlinked_message(_: None) -> version_pb2.UnlinkVersionResponse:
    return version_pb2.UnlinkVersionResponse()
