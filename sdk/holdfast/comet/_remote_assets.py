"""Links of an artifact: what the handlers of references find behind a URI, seen as assets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast._warn_user import warn_user
from holdfast.comet._artifact_asset import (
    FETCHED_SCHEMES,
    METADATA_KEY,
    SYNCED_KEY,
    ArtifactAsset,
    LinkContent,
    metadata_of,
    name_of_link,
    scheme_of,
)
from holdfast.errors import Error
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import ReferenceRequest
from holdfast.references.local_file import LocalFileHandler
from holdfast.references.registration import default_handler
from holdfast_contract.paths import logical_path as checked_path
from holdfastpb.daemon.v1.log_pb2 import AddReference


@dataclass(frozen=True, slots=True)
class Link:
    """One link as it will be recorded."""

    content: LinkContent

    @property
    def path(self) -> str:
        """Its logical path."""
        return str(self.content.record.path)

    def asset(self, id: str) -> ArtifactAsset:
        """Returns the asset that stands for it."""
        record = self.content.record
        extra = json.loads(record.extra_json) if record.extra_json else {}
        entry = ArtifactManifestEntry(record.path, record.digest, ref=record.uri, size=record.size, extra=extra)
        return ArtifactAsset(id, True, record.path, record.size, record.uri, metadata_of(entry))


def find_links(
    uri: str, logical_path: str | None, metadata: dict[str, Any], *, sync: bool, objects_max: int
) -> list[Link]:
    """Returns the links that a URI stands for.

    What cannot be looked at becomes one link that cannot be brought, with a warning, as with Comet.

    Raises:
        ValueError: the logical path breaks its rules.
    """
    if not isinstance(uri, str) or not uri:
        raise ValueError(f"A link is a text that is not empty, not {uri!r:.200}")
    path = checked_path(name_of_link(uri) if logical_path is None else logical_path)
    if scheme_of(uri) not in FETCHED_SCHEMES:
        return [_plain(uri, path, metadata)]
    if not sync:
        return [_plain(uri, path, metadata, {SYNCED_KEY: False})]
    try:
        return [_synced(record, metadata) for record in _look(uri, path, objects_max)]
    except (Error, ValueError, OSError) as error:
        text = str(error)
        warn_user(f"{uri} is noted as a link that cannot be downloaded (max_synced_objects={objects_max:,}): {text}")
        return [_plain(uri, path, {**metadata, "error_message": text, "synced": False}, {SYNCED_KEY: False})]


def _look(uri: str, path: str, objects_max: int) -> Iterator[AddReference]:
    if scheme_of(uri) == "file":
        # Read here and now: each asset has a digest of its own, and the daemon would read them one by one.
        for entry in LocalFileHandler().store_path(None, uri, path, max_objects=objects_max):
            yield AddReference(path=entry.path, uri=entry.ref, digest=entry.digest, size=entry.size)
        return
    for added in default_handler().references(ReferenceRequest(None, uri, path, True, objects_max)):
        assert isinstance(added.record, AddReference), "entries of other artifacts have another scheme"
        yield added.record


def _synced(record: AddReference, metadata: dict[str, Any]) -> Link:
    if metadata:
        extra = json.loads(record.extra_json) if record.extra_json else {}
        record.extra_json = _encoded(extra | {METADATA_KEY: metadata})
    return Link(LinkContent(record))


def _plain(uri: str, path: str, metadata: dict[str, Any], kept: dict[str, Any] | None = None) -> Link:
    extra = {**(kept or {}), **({METADATA_KEY: metadata} if metadata else {})}
    record = AddReference(path=path, uri=uri, digest=uri, extra_json=_encoded(extra) if extra else b"")
    return Link(LinkContent(record))


def _encoded(extra: dict[str, Any]) -> bytes:
    return json.dumps(extra, sort_keys=True, ensure_ascii=False).encode()
