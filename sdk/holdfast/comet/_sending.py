"""Makes a draft of a Comet artifact and hands it over: what is inherited stays where it is, the rest is read by the daemon."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast._draft import RECORD_OVERHEAD_BYTES, Draft, file_record
from holdfast._known_types import known_types
from holdfast._local_file import find_file, read_small
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
from holdfast.comet.exceptions import INVALID_VERSION, LogArtifactException
from holdfast_contract.names import check_tags, check_user_aliases
from holdfast_contract.semantic_versions import check_semantic_version
from holdfastpb.daemon.v1 import log_pb2

if TYPE_CHECKING:
    from holdfast.comet._artifact import Artifact
    from holdfast.comet._asset_list import AssetList
    from holdfast.runs import Run


def send(artifact: Artifact, run: Run) -> StoredArtifact:
    """Logs an artifact as an output of a run.  Returns when the daemon has read what may be changed afterwards.

    Raises:
        LogArtifactException: the version is none.
        Error: the version exists already, a file cannot be read, the type is another one, or the daemon cannot be reached.
        ValueError: a name breaks its rules.
    """
    with artifact._lock:
        aliases, tags = stored_aliases(list(artifact.aliases)), sorted(artifact.version_tags)
        check_user_aliases(aliases)
        check_tags(tags)
        project, version = artifact_project(), _version_text(artifact)
        if not run.offline:
            known_types().check(run.entity, project, artifact.name, artifact.artifact_type)
            known_types().check_number(run.entity, project, artifact.name, version, always_new=True)
        draft = _Filling(artifact, run).filled()
        request = run._finalize_request(aliases, tags, use_after_commit=False)
        request.project = project
        # Each log is a version of its own, as with Comet; equal contents cost no bytes.
        request.semantic_version.always_new = True
        request.semantic_version.exact = version
        draft._log(request)
        return draft


def _version_text(artifact: Artifact) -> str:
    """The number that is asked for; "": none.  The attribute may have been set to any text."""
    if artifact.version is None:
        return ""
    try:
        check_semantic_version(str(artifact.version))
    except ValueError as error:
        raise LogArtifactException(str(error), INVALID_VERSION) from error
    return str(artifact.version)


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
                        if said := assets.inherited.own_metadata(path):  # a file of its own begins with none
                            self._send_extra(path, _kept_beside(said))
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


def _kept_beside(metadata: dict[str, Any]) -> bytes:
    return json.dumps({METADATA_KEY: metadata}, ensure_ascii=False).encode()


def metadata_to_set(assets: AssetList) -> Iterator[tuple[str, bytes]]:
    """Yields (path, what is kept beside it) of the assets that were added; a folder once, where all below it say the same."""
    by_folder: dict[str, dict[str, bytes | None]] = {}
    for path, (asset, _) in assets.added.items():
        kept = None
        if not asset.remote:  # a link brings its metadata along
            kept = _kept_beside(asset.metadata) if asset.metadata else b""
        by_folder.setdefault(path.partition("/")[0], {})[path] = kept
    for folder, by_path in by_folder.items():
        said = set(by_path.values())
        if len(by_path) > 1 and len(said) == 1 and not assets.inherits_below(folder):
            by_path = {folder: said.pop()}
        yield from ((path, kept) for path, kept in by_path.items() if kept)
