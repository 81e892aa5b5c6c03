"""Lists of versions: those of one collection, and those that a run logged or used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._pagination import Page, SizedPaginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, order_text, page_request
from holdfast._registry_calls import RegistryCalls
from holdfast.artifact import Artifact
from holdfast_contract.names import check_tags
from holdfastpb.registry.v1 import run_pb2, version_pb2

if TYPE_CHECKING:
    from holdfast._run_record import RunRecord

_EDGE_KINDS = {"logged": run_pb2.EDGE_KIND_LOGGED, "used": run_pb2.EDGE_KIND_USED}


class Artifacts(SizedPaginator[Artifact]):
    """The committed versions of one collection; of a portfolio, those linked into it."""

    def __init__(  # noqa: PLR0913 - W&B's signature
        self,
        entity: str,
        project: str,
        collection_name: str,
        type: str,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int = 50,
        tags: str | Sequence[str] | None = None,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `Api.artifacts`.

        Args:
            entity: of the collection.
            project: of the collection.
            collection_name: the collection.
            type: refuse a collection of another type; empty takes any.
            filters: see docs/filters.md.
            order: "+field" or "-field", for example "+version_index"; default: newest first.
            per_page: versions of one request, at most 1,000.
            tags: only versions that carry all of these.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        super().__init__(per_page, start)
        wanted = [tags] if isinstance(tags, str) else list(tags or ())
        check_tags(wanted)
        self._request = version_pb2.ListVersionsRequest(
            entity=entity,
            project=project,
            collection=collection_name,
            type=type,
            page_size=self.per_page,
            tags=wanted,
            filter_json=filter_json(filters),
            order=order_text(order),
        )

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        page = RegistryCalls(this_process().daemon).list_versions(page_request(self._request, cursor))
        return Page(artifacts_of(page.versions), page.next_page_token or None, page.total_count)


class RunArtifacts(SizedPaginator[Artifact]):
    """The versions that a run logged or used, oldest first."""

    def __init__(
        self,
        run: RunRecord,
        mode: Literal["logged", "used"] = "logged",
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        """Makes the paginator.

        Args:
            run: the run.
            mode: "logged" or "used".
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: another mode, or `per_page` is not positive.
        """
        super().__init__(per_page, start)
        if mode not in _EDGE_KINDS:
            raise ValueError(f"mode must be 'logged' or 'used', not {mode!r}")
        self._request = version_pb2.ListRunArtifactsRequest(
            entity=run.entity,
            project=run.project,
            run_id=run.id,
            kind=_EDGE_KINDS[mode],
            page_size=self.per_page,
        )

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        page = CatalogueCalls(this_process().daemon).list_run_artifacts(page_request(self._request, cursor))
        return Page(artifacts_of(page.versions), page.next_page_token or None, page.total_count)


def artifacts_of(versions: Sequence[version_pb2.Version]) -> list[Artifact]:
    """Returns the artifacts of a page of versions."""
    return [Artifact._of_version(version) for version in versions]
