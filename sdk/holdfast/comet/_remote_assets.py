"""Links of an artifact: what the handlers of references find behind a URI, seen as assets."""

from __future__ import annotations

import json
import os
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
from holdfast.references.handlers import AddedReference, ReferenceRequest
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
        return [_synced(added, metadata) for added in _look(uri, path, objects_max)]
    except (Error, ValueError, OSError) as error:
        text = str(error)
        warn_user(f"{uri} is noted as a link that cannot be downloaded: {text}")
        return [_plain(uri, path, {**metadata, "error_message": text, "synced": False}, {SYNCED_KEY: False})]


def _look(uri: str, path: str, objects_max: int) -> Iterator[AddedReference]:
    for added in default_handler().references(ReferenceRequest(None, uri, path, True, objects_max)):
        if added.is_folder:
            yield from _files(added, objects_max)
        else:
            yield added


def _files(folder: AddedReference, objects_max: int) -> Iterator[AddedReference]:
    """The files of a `file://` folder, which the daemon would walk: assets are listed one by one."""
    record = folder.record
    assert isinstance(record, AddReference), "only file references are folders"
    root = os.fsdecode(record.local_path)
    found = 0
    for directory, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            local = os.path.join(directory, name)
            if not os.path.isfile(local):
                continue
            found += 1
            if found > objects_max:
                raise ValueError(f"Exceeded {objects_max} objects tracked, pass max_synced_objects ({record.uri})")
            relative = os.path.relpath(local, root)
            request = ReferenceRequest(None, f"file://{local}", f"{record.path}/{relative}")
            yield from default_handler().references(request)


def _synced(added: AddedReference, metadata: dict[str, Any]) -> Link:
    record = added.record
    assert isinstance(record, AddReference), "links to entries of other artifacts have another scheme"
    if added.must_be_read:
        record.size = os.path.getsize(os.fsdecode(record.local_path))
    if metadata:
        extra = json.loads(record.extra_json) if record.extra_json else {}
        record.extra_json = _encoded(extra | {METADATA_KEY: metadata})
    return Link(LinkContent(record, added.must_be_read))


def _plain(uri: str, path: str, metadata: dict[str, Any], kept: dict[str, Any] | None = None) -> Link:
    extra = {**(kept or {}), **({METADATA_KEY: metadata} if metadata else {})}
    record = AddReference(path=path, uri=uri, digest=uri, extra_json=_encoded(extra) if extra else b"")
    return Link(LinkContent(record))


def _encoded(extra: dict[str, Any]) -> bytes:
    return json.dumps(extra, sort_keys=True, ensure_ascii=False).encode()
