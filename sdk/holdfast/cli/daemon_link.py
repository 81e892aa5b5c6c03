"""The command line's calls to the daemon, and through it to the registry, that the public API has no method for."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from holdfast._daemon_client import DaemonClient
from holdfast._daemon_launcher import DaemonLauncher
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._settings import SdkSettings
from holdfast.errors import UnavailableError
from holdfast_contract.limits import COMMIT_DEADLINE_S, PAGE_SIZE_MAX
from holdfastpb.daemon.v1 import control_pb2
from holdfastpb.registry.v1 import collection_pb2, version_pb2

R = TypeVar("R", bound=Message)

_CONTROL = "/holdfast.daemon.v1.ControlService"
_COLLECTIONS = "/holdfast.registry.v1.CollectionService"
_VERSIONS = "/holdfast.registry.v1.VersionService"


class FindOnly(DaemonLauncher):
    """A launcher that finds a daemon and never starts one: for commands that only look, and for those that stop it."""

    def ensure_listening(self) -> None:
        """Returns when a daemon accepts connections.

        Raises:
            UnavailableError: none does.
        """
        if not self.is_listening():
            raise UnavailableError(
                f"no daemon runs for {self.places.data_dir}; unfinished work goes on when one starts: holdfast daemon start"
            )


def find_only_launcher() -> FindOnly:
    """A launcher for this process's data folder that finds a daemon and starts none."""
    process = this_process()
    return FindOnly(process.places, start_timeout_s=process.settings.start_timeout_s)


class DaemonLink:
    """A connection to the daemon of this user and data folder."""

    def __init__(self, client: DaemonClient, settings: SdkSettings) -> None:
        """Wraps a client; use `connect` or `find`."""
        self._client = client
        self._settings = settings

    @classmethod
    def connect(cls, *, start: bool = True) -> "DaemonLink":
        """Connects to the daemon, starting it when allowed.

        Raises:
            UnavailableError: there is none, or it does not answer.
        """
        process = this_process()
        client = process.daemon if start else DaemonClient(find_only_launcher())
        client.connect()
        return cls(client, process.settings)

    @classmethod
    def find(cls) -> "DaemonLink | None":
        """Connects to the running daemon; `None` when none runs.

        Raises:
            UnavailableError: one listens and does not answer.
        """
        return cls.connect(start=False) if find_only_launcher().is_listening() else None

    @property
    def default_entity(self) -> str:
        """Entity of names that have none."""
        return self._settings.entity

    @property
    def default_project(self) -> str:
        """Project of names that have none."""
        return self._settings.project

    def status(self) -> control_pb2.GetStatusResponse:
        """The daemon's state."""
        return self._call(f"{_CONTROL}/GetStatus", control_pb2.GetStatusRequest(), control_pb2.GetStatusResponse)

    def jobs(self) -> Sequence[control_pb2.Job]:
        """The daemon's jobs, newest first."""
        request = control_pb2.ListJobsRequest(page_size=PAGE_SIZE_MAX)
        return self._call(f"{_CONTROL}/ListJobs", request, control_pb2.ListJobsResponse).jobs

    def drain(self) -> None:
        """Asks the daemon to end within 10 s; what is acknowledged is kept."""
        self._call(f"{_CONTROL}/Drain", control_pb2.DrainRequest(), control_pb2.DrainResponse)

    def trim_cache(self, bytes_max: int, *, remove_temp: bool = False) -> control_pb2.TrimCacheResponse:
        """Shrinks the cache of packs to at most `bytes_max`; removes what interrupted downloads have left, if that is wanted."""
        request = control_pb2.TrimCacheRequest(bytes_max=bytes_max, remove_partial_files=remove_temp)
        return self._call(f"{_CONTROL}/TrimCache", request, control_pb2.TrimCacheResponse)

    def login(self, token: str) -> control_pb2.LoginResponse:
        """Gives the daemon a token of the registry, which it asks about it first.

        Raises:
            Error: the registry does not know it or does not answer; nothing was kept.
        """
        return self._call(f"{_CONTROL}/Login", control_pb2.LoginRequest(token=token), control_pb2.LoginResponse)

    def logout(self) -> control_pb2.LogoutResponse:
        """Lets the daemon forget the registry's token."""
        return self._call(f"{_CONTROL}/Logout", control_pb2.LogoutRequest(), control_pb2.LogoutResponse)

    def list_collections(self, entity: str, project: str, type_: str) -> list[collection_pb2.Collection]:
        """All collections of a project, by name; an empty type means all."""
        request = collection_pb2.ListCollectionsRequest(
            entity=entity, project=project, type=type_, page_size=PAGE_SIZE_MAX
        )
        found: list[collection_pb2.Collection] = []
        while True:
            page = self._call(f"{_COLLECTIONS}/ListCollections", request, collection_pb2.ListCollectionsResponse)
            found += page.collections
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def restore_version(self, entity: str, project: str, name: str, index: int) -> version_pb2.Version:
        """Takes the deletion of a version back.

        Raises:
            NotFoundError: there is no such version, or the time in which it could be restored has passed.
        """
        return RegistryCalls(self._client).restore_version(entity, project, name, index)

    def require_project(self, entity: str, project: str) -> None:
        """Returns if the registry knows the project.

        Raises:
            NotFoundError: it does not.
        """
        request = collection_pb2.GetProjectRequest(entity=entity, name=project)
        self._call(f"{_COLLECTIONS}/GetProject", request, collection_pb2.GetProjectResponse)

    def list_versions(self, entity: str, project: str, name: str, type_: str) -> list[version_pb2.Version]:
        """All committed versions of a collection, newest first.

        Raises:
            NotFoundError: no such collection.
        """
        request = version_pb2.ListVersionsRequest(
            entity=entity, project=project, collection=name, type=type_, page_size=PAGE_SIZE_MAX
        )
        found: list[version_pb2.Version] = []
        while True:
            page = self._call(f"{_VERSIONS}/ListVersions", request, version_pb2.ListVersionsResponse)
            found += page.versions
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def search_versions(self, request: version_pb2.SearchVersionsRequest) -> list[version_pb2.Version]:
        """All versions of a query; leaves the request as it was.

        Raises:
            InvalidInputError: the filter names what is not known.
        """
        page_request = version_pb2.SearchVersionsRequest()
        page_request.CopyFrom(request)
        found: list[version_pb2.Version] = []
        while True:
            page = self._call(f"{_VERSIONS}/SearchVersions", page_request, version_pb2.SearchVersionsResponse)
            found += page.versions
            if not page.next_page_token:
                return found
            page_request.page_token = page.next_page_token

    def version_count(self, request: version_pb2.SearchVersionsRequest) -> int:
        """How many versions a query finds."""
        first = version_pb2.SearchVersionsRequest()
        first.CopyFrom(request)
        first.page_size = 1
        return int(self._call(f"{_VERSIONS}/SearchVersions", first, version_pb2.SearchVersionsResponse).total_count)

    def freed_bytes(self, request: version_pb2.SearchVersionsRequest) -> int:
        """How many bytes the store would need less without the versions of a query."""
        sizes = version_pb2.SearchVersionsRequest()
        sizes.CopyFrom(request)
        sizes.page_size = 0
        answer = self._client.unary(
            f"{_VERSIONS}/SearchVersions", sizes, version_pb2.SearchVersionsResponse, deadline_s=COMMIT_DEADLINE_S
        )
        return int(answer.freed_bytes)

    def _call(self, method: str, request: Message, response_type: type[R]) -> R:
        return self._client.unary(method, request, response_type)
