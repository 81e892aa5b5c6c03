"""Makes a draft of a Comet artifact and hands it over: what is inherited stays where it is, the rest is read by the daemon."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast._draft import RECORD_OVERHEAD_BYTES, Draft, file_record
from holdfast._known_types import known_types
from holdfast._local_file import find_file, read_small
from holdfast._process import this_process
from holdfast.artifact import Artifact as StoredArtifact
from holdfast.comet._artifact_asset import (
    METADATA_KEY,
    Content,
    DataContent,
    FileContent,
    LinkContent,
    copy_stream,
)
from holdfast.comet._names import artifact_project, stored_aliases
from holdfast.comet.exceptions import VERSION_EXISTS, LogArtifactException
from holdfast.errors import CommError
from holdfast_contract.names import check_tags, check_user_aliases
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import version_pb2

if TYPE_CHECKING:
    from holdfast.comet._artifact import Artifact
    from holdfast.comet._asset_list import AssetList
    from holdfast.runs import Run


RESOLVE_VERSION = "/holdfast.registry.v1.VersionService/ResolveVersion"
LOOK_DEADLINE_S = 1.0
"""A registry that is up takes milliseconds; one that is away is not to hold up a script that logs."""


def send(artifact: Artifact, run: Run) -> StoredArtifact:
    """Logs an artifact as an output of a run.  Returns when the daemon has read what may be changed afterwards.

    Raises:
        LogArtifactException: the version exists already.
        Error: a file cannot be read, the type is another one, or the daemon cannot be reached.
        ValueError: a name breaks its rules.
    """
    with artifact._lock:
        aliases, tags = stored_aliases(list(artifact.aliases)), sorted(artifact.version_tags)
        check_user_aliases(aliases)
        check_tags(tags)
        project, version = artifact_project(), "" if artifact.version is None else str(artifact.version)
        if not run.offline:
            known_types().check(run.entity, project, artifact.name, artifact.artifact_type)
            _refuse_known_version(run.entity, project, artifact.name, version)
        draft = _Filling(artifact, run).filled()
        request = run._finalize_request(aliases, tags, use_after_commit=False)
        request.project = project
        # Each log is a version of its own, as with Comet; equal contents cost no bytes.
        request.semantic_version.always_new = True
        request.semantic_version.exact = version
        draft._log(request)
        return draft


def _refuse_known_version(entity: str, project: str, name: str, version: str) -> None:
    """Tells at once what the commit would say later; it judges for good."""
    if not version:
        return
    daemon = this_process().daemon
    request = version_pb2.ResolveVersionRequest(entity=entity, project=project, collection=name, alias=version)
    try:
        response = daemon.unary(
            RESOLVE_VERSION, request, version_pb2.ResolveVersionResponse, deadline_s=LOOK_DEADLINE_S, attempts_max=1
        )
    except CommError:
        return  # there is none, or nobody who knows at the moment
    if response.version.semantic_version == version:
        raise LogArtifactException(
            f"Artifact {name!r} has a version {version} already; choose another.", VERSION_EXISTS
        )


class _Filling:
    """Fills one draft."""

    def __init__(self, artifact: Artifact, run: Run) -> None:
        self._artifact = artifact
        base = artifact._base
        description = base.description if base is not None else None
        self._draft = StoredArtifact(artifact.name, artifact.artifact_type, description, artifact.metadata)
        self._draft._meant_for = run
        if base is not None:
            self._draft._draft = Draft(self._draft, base_version_id=base._logged.version_id)
        self._contents = self._draft._contents
        self._must_wait = False

    def filled(self) -> StoredArtifact:
        assets = self._artifact._assets
        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
            for path in assets.removed:
                self._send(log_pb2.Record(remove=log_pb2.Remove(path=path)), len(path))
            if assets.inherited is not None:
                for path, local_path in assets.inherited.changed_files():
                    if path not in assets.added and assets.overrides(path):
                        self._send_file(path, FileContent(local_path, mutable=True), overwrite=True)
            for path, (_, content) in assets.added.items():
                self._send_content(path, content, folder, overwrite=assets.overrides(path))
            for path, metadata in metadata_to_set(assets):
                self._send_extra(path, metadata)
            if self._must_wait:
                self._contents.wait_until_read()
        return self._draft

    def _send_content(self, path: str, content: Content, folder: str, *, overwrite: bool) -> None:
        if isinstance(content, FileContent):
            self._send_file(path, content, overwrite=overwrite)
        elif isinstance(content, DataContent):
            temporary = os.path.join(folder, str(len(os.listdir(folder))))
            with open(temporary, "xb") as file:
                copy_stream(content, file)
            self._send_file(path, FileContent(temporary, mutable=True), overwrite=overwrite)
        else:
            self._send_link(content, overwrite=overwrite)

    def _send_file(self, path: str, content: FileContent, *, overwrite: bool) -> None:
        file = find_file(content.path)
        data = read_small(file) if content.mutable else None
        self._must_wait = self._must_wait or (content.mutable and data is None)
        self._send(*file_record(file, path, data, overwrite=overwrite, mutable=content.mutable))

    def _send_link(self, content: LinkContent, *, overwrite: bool) -> None:
        record = log_pb2.AddReference()
        record.CopyFrom(content.record)
        record.overwrite = overwrite
        self._send(log_pb2.Record(add_reference=record), record.ByteSize())

    def _send_extra(self, path: str, extra_json: bytes) -> None:
        extra = log_pb2.SetExtra(path=path, extra_json=extra_json)
        self._send(log_pb2.Record(set_extra=extra), extra.ByteSize())

    def _send(self, record: log_pb2.Record, size_bytes: int) -> None:
        self._contents.send(record, size_bytes + RECORD_OVERHEAD_BYTES)


def metadata_to_set(assets: AssetList) -> Iterator[tuple[str, bytes]]:
    """Yields (path, what is kept beside it) of the assets that were added; a folder once, where all below it say the same."""
    by_folder: dict[str, dict[str, bytes | None]] = {}
    for path, (asset, _) in assets.added.items():
        kept = None
        if not asset.remote:  # a link brings its metadata along
            kept = json.dumps({METADATA_KEY: asset.metadata}, ensure_ascii=False).encode() if asset.metadata else b""
        by_folder.setdefault(path.partition("/")[0], {})[path] = kept
    for folder, by_path in by_folder.items():
        said = set(by_path.values())
        if len(by_path) > 1 and len(said) == 1 and not assets.inherits_below(folder):
            by_path = {folder: said.pop()}
        yield from ((path, kept) for path, kept in by_path.items() if kept)
