"""Between the messages of the wire and the values of the registry; what comes from outside is checked here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import DIGEST_BYTES, METADATA_BYTES_MAX, NAME_CHARS_MAX, PAGE_SIZE_MAX, TAGS_MAX
from holdfast_contract.metadata import decode_metadata
from holdfast_contract.names import check_entity, check_project, check_run_id
from holdfast_contract.reasons import Reason
from holdfast_contract.semantic_versions import check_semantic_version
from holdfast_registry.database.paging import PageWish
from holdfast_registry.database.statements import Once
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.domain.records import (
    CollectionRecord,
    EdgeKind,
    LeaseGrant,
    LinkRecord,
    ProjectRecord,
    RunRecord,
    VersionRecord,
)
from holdfast_registry.domain.semver import SemanticVersionWish, VersionBump, parse_version
from holdfast_registry.domain.ttl import Ttl, checked_ttl
from holdfast_registry.errors import RegistryError, invalid
from holdfastpb.registry.v1 import collection_pb2, run_pb2, version_pb2

R = TypeVar("R")


class RequestWithId(Protocol):
    """A message with a `request_id`: every mutation that is done once."""

    request_id: str

    @property
    def DESCRIPTOR(self) -> Any:
        """Tells the message's name."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """Encodes it."""


REQUEST_ID_CHARS_MAX = 64
"""A UUID has 36."""
NOTES_CHARS_MAX = 64 * 1024
"""Free text of a run or a version."""


def once_of(
    request: RequestWithId,
    encode: Callable[[R], Message],
) -> Once[R]:
    """Returns what makes a mutation happen once.

    Raises:
        RegistryError: INVALID_ARGUMENT: the request has no id.
    """
    if not 1 <= len(request.request_id) <= REQUEST_ID_CHARS_MAX or not request.request_id.isprintable():
        raise invalid(f"request_id must be a UUID, not {request.request_id[:80]!r}.")
    return Once(
        request_id=request.request_id,
        method=request.DESCRIPTOR.name.removesuffix("Request"),
        request_digest=digest_of(request.SerializeToString(deterministic=True)),
        encode=lambda result: encode(result).SerializeToString(),
    )


def column_of_digests(column: bytes) -> list[bytes]:
    """Takes a column of 32-byte digests apart.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    if len(column) % DIGEST_BYTES:
        raise invalid(f"A column of digests has {len(column)} bytes, which is no multiple of {DIGEST_BYTES}.")
    return split_digests(column)


def bitmap(flags: list[bool]) -> bytes:
    """Returns one bit a flag, lowest first."""
    text = "".join(["1" if flag else "0" for flag in reversed(flags)])
    return int(text or "0", 2).to_bytes((len(flags) + 7) // 8, "little")


def page_size(wanted: int) -> int:
    """Returns the number of rows of a page."""
    return min(wanted or PAGE_SIZE_MAX, PAGE_SIZE_MAX)


class ListRequest(Protocol):
    """A message that asks for one page of a list in some order."""

    page_size: int
    page_token: str
    order: str


def page_wish(request: ListRequest) -> PageWish:
    """Returns which page is asked for."""
    return PageWish(page_size(request.page_size), request.page_token, request.order)


def page_number(token: str) -> int | None:
    """Reads a page token that is a number.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    if not token:
        return None
    if not token.isascii() or not token.isdecimal() or len(token) > 18:
        raise invalid(f"Page token {token[:40]!r} is not one that this registry gave.")
    return int(token)


def checked_metadata(encoded: bytes) -> bytes:
    """Returns metadata as it came, once it is known to be a JSON object within the limits."""
    decode_metadata(encoded)
    return encoded


def checked_description(text: str) -> str:
    """Returns a description that is not too long."""
    if len(text) > NOTES_CHARS_MAX:
        raise RegistryError(Reason.TOO_LARGE, f"A description has at most {NOTES_CHARS_MAX} characters; shorten it.")
    return text


def ttl_of(message: version_pb2.Ttl) -> Ttl:
    """Returns the time to live that a client asks for; of an absent message INHERIT.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    return checked_ttl(int(message.kind), message.seconds)


def semantic_version_wish(message: version_pb2.SemanticVersionWish) -> SemanticVersionWish:
    """Returns which semantic version a client asks for; of an absent message the next major one.

    Raises:
        ContractError: `exact` is no semantic version.
        RegistryError: INVALID_ARGUMENT: a bump that is not known.
    """
    if int(message.bump) not in set(VersionBump):
        raise invalid("`bump` must be MAJOR, MINOR or PATCH.")
    if message.exact:
        check_semantic_version(message.exact)
    exact = parse_version(message.exact)
    return SemanticVersionWish(exact, VersionBump(message.bump), message.if_free, message.always_new)


def ttl_message(ttl: Ttl) -> version_pb2.Ttl:
    """Packs a time to live."""
    return version_pb2.Ttl(kind=version_pb2.TtlKind.Name(ttl.kind.value), seconds=ttl.seconds)


def run_record(run: run_pb2.Run) -> RunRecord:
    """Returns a run that a client names.

    Raises:
        ContractError, RegistryError: a name or a field breaks its rule.
    """
    check_entity(run.entity)
    check_project(run.project)
    check_run_id(run.run_id)
    if len(run.tags) > TAGS_MAX:
        raise invalid(f"A run has at most {TAGS_MAX} tags.")
    if any(not tag.strip() or len(tag) > NAME_CHARS_MAX for tag in run.tags):
        raise invalid(f"A tag of a run has 1 to {NAME_CHARS_MAX} characters.")
    texts = (run.display_name, run.group, run.job_type, run.notes, run.state, run.host)
    if max(map(len, texts)) > NOTES_CHARS_MAX:
        raise RegistryError(Reason.TOO_LARGE, f"A text of a run has at most {NOTES_CHARS_MAX} characters; shorten it.")
    _check_config(run.config_json)
    return RunRecord(
        entity=run.entity,
        project=run.project,
        run_id=run.run_id,
        display_name=run.display_name,
        group=run.group,
        job_type=run.job_type,
        config_json=run.config_json,
        tags=tuple(run.tags),
        notes=run.notes,
        state=run.state,
        host=run.host,
        created_at_ms=run.created_at_ms,
    )


def _check_config(encoded: bytes) -> None:
    if not encoded:
        return
    if len(encoded) > METADATA_BYTES_MAX:
        raise RegistryError(Reason.TOO_LARGE, f"A run's config has at most {METADATA_BYTES_MAX} bytes; log a file.")
    try:
        config = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise invalid("A run's config is not JSON, or is nested too deeply.") from error
    if not isinstance(config, dict):
        raise invalid("A run's config must be a JSON object.")


def edge_kind(kind: run_pb2.EdgeKind) -> EdgeKind:
    """Returns the kind of an edge.

    Raises:
        RegistryError: INVALID_ARGUMENT: none that is known.
    """
    if int(kind) not in set(EdgeKind):
        raise invalid("`kind` must be LOGGED or USED.")
    return EdgeKind(kind)


def run_message(record: RunRecord) -> run_pb2.Run:
    """Packs a run."""
    return run_pb2.Run(
        entity=record.entity,
        project=record.project,
        run_id=record.run_id,
        display_name=record.display_name,
        group=record.group,
        job_type=record.job_type,
        config_json=record.config_json,
        tags=record.tags,
        notes=record.notes,
        state=record.state,
        host=record.host,
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms or record.created_at_ms,
    )


def lease_message(lease: LeaseGrant) -> version_pb2.Lease:
    """Packs a lease."""
    return version_pb2.Lease(lease_id=lease.lease_id, ttl_s=lease.ttl_s)


def version_message(record: VersionRecord) -> version_pb2.Version:
    """Packs a version."""
    return version_pb2.Version(
        version_id=record.version_id,
        entity=record.name.entity,
        project=record.name.project,
        collection=record.name.name,
        type=record.type,
        version_index=record.version_index,
        state=version_pb2.VersionState.Name(record.state.value),
        digest=record.digest.hex(),
        manifest_root=record.manifest_root,
        size_bytes=record.size_bytes,
        entry_count=record.entry_count,
        description=record.description or "",
        has_description=record.description is not None,
        metadata_json=record.metadata_json,
        aliases=record.aliases,
        tags=record.tags,
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms,
        commit_hash=record.commit_hash,
        logged_by_run_id=record.logged_by_run_id,
        has_history_step=record.history_step is not None,
        history_step=record.history_step or 0,
        etag=record.etag,
        distributed_id=record.distributed_id,
        ttl=ttl_message(record.ttl),
        expires_at_ms=record.expires_at_ms or 0,
        link=None if record.link is None else link_message(record.link),
        link_count=record.link_count,
        semantic_version=record.semantic_version,
    )


def link_message(record: LinkRecord) -> version_pb2.Link:
    """Packs a link."""
    return version_pb2.Link(
        link_id=record.link_id,
        entity=record.name.entity,
        project=record.name.project,
        collection=record.name.name,
        version_index=record.version_index,
        aliases=record.aliases,
        created_at_ms=record.created_at_ms,
    )


def collection_message(record: CollectionRecord) -> collection_pb2.Collection:
    """Packs a collection."""
    return collection_pb2.Collection(
        entity=record.name.entity,
        project=record.name.project,
        name=record.name.name,
        type=record.type,
        description=record.description,
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms,
        version_count=record.version_count,
        latest_version_index=record.latest_version_index,
        latest_size_bytes=record.latest_size_bytes,
        collection_id=record.collection_id,
        kind=collection_pb2.CollectionKind.Name(record.kind.value),
        tags=record.tags,
        ttl=ttl_message(record.ttl),
        aliases=record.aliases,
        has_description=bool(record.description),
    )


def project_message(record: ProjectRecord) -> collection_pb2.Project:
    """Packs a project."""
    return collection_pb2.Project(
        entity=record.entity,
        name=record.name,
        description=record.description or "",
        has_description=record.description is not None,
        ttl=ttl_message(record.ttl),
        is_registry=record.is_registry,
        visibility=record.visibility,
        artifact_types=record.types,
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms,
        project_id=record.project_id,
    )
