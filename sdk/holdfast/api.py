"""`Api`: looks at what is stored, without a run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from holdfast._artifact_names import complete_name
from holdfast._pagination import Paginator
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.artifact import Artifact
from holdfast.errors import CommError, NotFoundError
from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfast_contract.metadata import decode_metadata
from holdfast_contract.names import check_tags
from holdfastpb.registry.v1 import run_pb2, version_pb2

P = ParamSpec("P")
R = TypeVar("R")

_ORDERS_OLDEST_FIRST = {
    None: False,
    "version_index": True,
    "+version_index": True,
    "-version_index": False,
    "created_at": True,
    "+created_at": True,
    "-created_at": False,
}
"""Versions are numbered as they are committed, so both orders are one."""


def normalize_exceptions(function: Callable[P, R]) -> Callable[P, R]:
    """Lets callers of the public API see every refusal as a `CommError`, as W&B does."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError) as error:
            raise CommError(str(error), reason=getattr(error, "reason", None)) from error

    return call


class Api:
    """Reads artifacts and runs.  Finds or starts the daemon at its first call."""

    def __init__(
        self, overrides: Mapping[str, Any] | None = None, timeout: int | None = None, api_key: str | None = None
    ) -> None:
        """Makes an API; nothing is asked yet.

        Args:
            overrides: "entity" and "project" to use where a name has none.
            timeout: accepted for compatibility; every call has its own deadline.
            api_key: accepted for compatibility; the daemon has the credentials.
        """
        self._overrides = dict(overrides or {})

    @property
    def default_entity(self) -> str:
        """The entity of names that have none."""
        return str(self._overrides.get("entity") or this_process().settings.entity)

    @property
    def default_project(self) -> str:
        """The project of names that have none."""
        return str(self._overrides.get("project") or this_process().settings.project)

    @normalize_exceptions
    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Returns a logged version.

        Args:
            name: `[[entity/]project/]name[:alias]`; the alias may be "vN" or a digest; default: latest.
            type: refuse a version of another type.

        Raises:
            CommError: no such version (`NotFoundError`), another type, or a name that breaks its rules.
        """
        if name is None:
            raise ValueError("You must specify name= to fetch an artifact.")
        full_name = complete_name(name, entity=self.default_entity, project=self.default_project)
        artifact = Artifact._of_version(RegistryCalls(this_process().daemon).resolve_version(full_name))
        if type is not None and artifact.type != type:
            raise ValueError(f"type {type!r} specified but this artifact is of type {artifact.type!r}")
        return artifact

    @normalize_exceptions
    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Returns whether there is such a version; arguments as of `artifact`.

        Raises:
            CommError: nobody could be asked, or the name breaks its rules.
        """
        try:
            artifact = self.artifact(name)
        except NotFoundError:
            return False
        return type is None or artifact.type == type

    @normalize_exceptions
    def artifacts(
        self,
        type_name: str,
        name: str,
        order: str | None = None,
        per_page: int = 50,
        tags: str | list[str] | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """Returns the committed versions of a collection, newest first.

        Args:
            type_name: type of the collection.
            name: `[[entity/]project/]name`.
            order: "+version_index" for oldest first, "-version_index" for newest first; also "created_at".
            per_page: versions of one request, at most 1,000.
            tags: only versions that carry all of these.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            CommError: an argument breaks its rules; `NotFoundError` comes when the first page is asked for.
        """
        full_name = complete_name(name, entity=self.default_entity, project=self.default_project)
        path = (full_name.entity, full_name.project, full_name.collection)
        return Artifacts(*path, type=type_name, order=order, per_page=per_page, tags=tags, start=start)


class Artifacts(Paginator[Artifact]):
    """The committed versions of one collection."""

    def __init__(  # noqa: PLR0913 - W&B's signature
        self,
        entity: str,
        project: str,
        collection_name: str,
        type: str,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        tags: str | Sequence[str] | None = None,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `Api.artifacts`.

        Raises:
            ValueError: an order or filter that is not known.
        """
        if order not in _ORDERS_OLDEST_FIRST:
            raise ValueError(f"order must be one of {', '.join(filter(None, _ORDERS_OLDEST_FIRST))}, not {order!r}")
        if filters:
            raise ValueError("Versions can be filtered by tags only; use tags=")
        super().__init__(min(per_page, PAGE_SIZE_MAX), start)
        wanted = [tags] if isinstance(tags, str) else list(tags or ())
        check_tags(wanted)
        self._total: int | None = None
        self._request = version_pb2.ListVersionsRequest(
            entity=entity,
            project=project,
            collection=collection_name,
            type=type,
            page_size=self.per_page,
            oldest_first=_ORDERS_OLDEST_FIRST[order],
            tags=wanted,
        )

    def __len__(self) -> int:
        """Returns how many there were when the first page was read."""
        if self._total is None:
            self._load_page()
        return self._total if self._total is not None else super().__len__()

    def _fetch(self, cursor: str | None) -> tuple[list[Artifact], str | None]:
        self._request.page_token = cursor or ""
        page = RegistryCalls(this_process().daemon).list_versions(self._request)
        self._total = page.total_count
        return [Artifact._of_version(version) for version in page.versions], page.next_page_token or None


class Run:
    """A run as the registry knows it: what an artifact was logged or used by."""

    def __init__(self, record: run_pb2.Run) -> None:
        """Makes the object of a record."""
        self._record = record

    @property
    def id(self) -> str:
        """Unique in the project."""
        return str(self._record.run_id)

    @property
    def name(self) -> str:
        """Display name; the id when none was given."""
        return str(self._record.display_name) or self.id

    @property
    def entity(self) -> str:
        """The entity (tenant) that the run belongs to."""
        return str(self._record.entity)

    @property
    def project(self) -> str:
        """The project that the run belongs to."""
        return str(self._record.project)

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def group(self) -> str:
        """Group of runs that belong together; empty when none was given."""
        return str(self._record.group)

    @property
    def job_type(self) -> str:
        """What the run does; empty when it was not given."""
        return str(self._record.job_type)

    @property
    def state(self) -> str:
        """One of "running", "finished", "failed" and "crashed", as it was last told."""
        return str(self._record.state)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration."""
        return decode_metadata(self._record.config_json)

    @property
    def tags(self) -> list[str]:
        """The tags."""
        return list(self._record.tags)

    @property
    def notes(self) -> str:
        """The notes."""
        return str(self._record.notes)

    def logged_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Returns the versions that the run logged, oldest first."""
        return self._artifacts(run_pb2.EDGE_KIND_LOGGED)

    def used_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Returns the versions that the run used, oldest first."""
        return self._artifacts(run_pb2.EDGE_KIND_USED)

    def _artifacts(self, kind: run_pb2.EdgeKind) -> list[Artifact]:
        calls = RegistryCalls(this_process().daemon)
        version_ids = calls.run_versions(self.entity, self.project, self.id, kind)
        return [Artifact._of_version(calls.get_version(version_id)) for version_id in version_ids]

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"
