"""Calls to the registry that the daemon answers itself, or takes note of, on their way through it.

Answered here: a version named by its whole digest that is known, a manifest that is here whole, and uses, which are passed on later.
Whoever asks for lineage, or changes a run or a version, has what was recorded before sent first.
"""

from holdfast_daemon.pipeline.known_versions import KnownVersions
from holdfast_daemon.pipeline.manifest_pages import ManifestPages
from holdfast_daemon.pipeline.uses import Uses
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.registry.v1.run_pb2 import RecordUseRequest, RecordUseResponse
from holdfastpb.registry.v1.version_pb2 import (
    DeleteVersionRequest,
    GetVersionResponse,
    ListManifestSegmentsRequest,
    ResolveVersionRequest,
    ResolveVersionResponse,
    UpdateVersionRequest,
)

_VERSIONS = "/holdfast.registry.v1.VersionService/"
_COLLECTIONS = "/holdfast.registry.v1.CollectionService/"
_RUNS = "/holdfast.registry.v1.RunService/"

RESOLVE = _VERSIONS + "ResolveVersion"
GET = _VERSIONS + "GetVersion"
SEGMENTS = _VERSIONS + "ListManifestSegments"
RECORD_USE = _RUNS + "RecordUse"
_NEEDS_USES = frozenset(
    [
        *(_RUNS + name for name in ("UpsertRun", "GetRun", "ListVersionRuns", "ListRunVersions", "ListRuns")),
        *(_VERSIONS + name for name in ("ListRunArtifacts", "DeleteVersion")),
        _COLLECTIONS + "DeleteCollection",
    ]
)
"""After these the order in which things were said would show."""
_UPDATE = _VERSIONS + "UpdateVersion"
_DELETE = _VERSIONS + "DeleteVersion"
_CHANGES_MANY = frozenset(
    [
        *(_VERSIONS + name for name in ("LinkVersion", "UnlinkVersion", "RestoreVersion")),
        *(_COLLECTIONS + name for name in ("UpdateCollection", "DeleteCollection", "UpdateProject", "DeleteRegistry")),
    ]
)


class AnsweredHere:
    """What the forwarder asks before and tells after each call."""

    def __init__(self, known: KnownVersions, manifests: ManifestPages, uses: Uses, registry: RegistryClient) -> None:
        self._known = known
        self._manifests = manifests
        self._uses = uses
        self._registry = registry

    async def before(self, method: str, request: bytes) -> bytes | None:
        """Returns the answer, or None: the registry has it."""
        if method == RESOLVE:
            version = await self._known.resolve(ResolveVersionRequest.FromString(request))
            return None if version is None else ResolveVersionResponse(version=version).SerializeToString()
        if method == SEGMENTS:
            page = self._manifests.answer(ListManifestSegmentsRequest.FromString(request))
            return None if page is None else page.SerializeToString()
        if method == RECORD_USE:
            await self._uses.record(RecordUseRequest.FromString(request))
            return RecordUseResponse().SerializeToString()
        if method in _NEEDS_USES:
            await self._uses.flush()
        return None

    @property
    def generation(self) -> int:
        """Of what is known: taken before a call, and given to `after`."""
        return self._known.generation

    def after(self, method: str, request: bytes, answer: bytes, generation: int) -> None:
        """Takes note of an answer of the registry."""
        if method == RESOLVE:
            resolved = ResolveVersionResponse.FromString(answer).version
            self._known.learn(resolved, generation, ResolveVersionRequest.FromString(request))
        elif method == GET:
            self._known.learn(GetVersionResponse.FromString(answer).version, generation)
        elif method == SEGMENTS:
            self._registry.fetched_bytes += len(answer)

    def ended(self, method: str, request: bytes) -> None:
        """Forgets what a call may have changed, whether or not its answer came."""
        if method == _UPDATE:
            self._known.forget(UpdateVersionRequest.FromString(request).version_id)
        elif method == _DELETE:
            self._known.forget(DeleteVersionRequest.FromString(request).version_id)
        elif method in _CHANGES_MANY:
            self._known.forget_all()
