"""Brings a logged version to a folder: files through the daemon, which compares digests first, and links through their handlers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast._fetch import Fetcher
from holdfast._process import this_process
from holdfast._some_paths import some_of
from holdfast._warn_user import warn_user
from holdfast.comet._artifact_asset import is_synced, metadata_of, scheme_of
from holdfast.comet._comparison import holds, may_hold
from holdfast.comet._download_lines import DownloadLines
from holdfast.comet._inherited import Inherited
from holdfast.comet._strategies import Strategy
from holdfast.comet.exceptions import ArtifactDownloadException, not_downloaded, told_as
from holdfast.references.fetching import FetchOptions, fetch_references
from holdfast.references.registration import default_handler
from holdfastpb.daemon.v1 import fetch_pb2

if TYPE_CHECKING:
    from holdfast.artifact import Artifact as StoredArtifact
    from holdfast.manifest import ArtifactManifestEntry

_MEANS_SOMETHING = "\\*?[]!# "
"""In a pattern, beside what it stands for."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a download has come to."""

    inherited: Inherited
    bytes_moved: int
    """Of files that were not right in place already; links do not count."""


def download(version: StoredArtifact, path: str | None, strategy: Strategy, *, sync: bool) -> Brought:
    """Puts a version's files, and the objects of its links, below a folder.

    Args:
        version: a logged version.
        path: the folder, made when absent; None: a new temporary one.
        strategy: what becomes of files that are there with other content.
        sync: bring the objects of links that can be followed.

    Raises:
        ArtifactDownloadException: files are in the way (then nothing was written), or something cannot be had.
    """
    root = tempfile.mkdtemp(prefix="holdfast-") if path is None else os.path.abspath(os.fspath(path))
    with told_as(not_downloaded):
        links = [entry for entry in version.manifest.entries.values() if entry.is_reference]
        wanted = [entry for entry in links if is_synced(entry)] if sync else []
        if sync:
            _refuse_unsynced(version, links)
        # Those of files are copied by the daemon, which judges them with the other files.
        remote = [entry for entry in wanted if scheme_of(entry.ref_target()) != "file"]
        remote = _not_in_place(remote, root, strategy)
        process = this_process()
        lines = DownloadLines(version.name, enabled=process.settings.progress)
        response = Fetcher(process.daemon).run(_request(version, root, strategy, _left(links, wanted)), lines)
        kept = sorted([*response.kept_paths, *_kept(remote, root, strategy)])
        options = FetchOptions(
            keep_existing=strategy is Strategy.PRESERVE, replace_existing=strategy is Strategy.OVERWRITE
        )
        fetch_references(remote, root, default_handler(), options)
    if kept:
        # The daemon names 1 MiB of them; with more, each file is looked at when the artifact is logged again.
        total = len(kept) + response.kept_total - len(response.kept_paths)
        what = f"{total} files were" if total > 1 else "1 file was"
        warn_user(f"{what} kept in {root} although {version.name} has other content there: {some_of(kept)}")
    not_as_logged = kept if response.kept_total == len(response.kept_paths) else list(version.manifest.paths())
    return Brought(Inherited(version, root, not_as_logged), response.bytes_done - response.bytes_kept)


def _request(version: StoredArtifact, root: str, strategy: Strategy, left: Sequence[str]) -> fetch_pb2.DownloadRequest:
    return fetch_pb2.DownloadRequest(
        version_id=version.id,
        root=os.fsencode(root),
        overwrite=strategy.policy,
        name_kept=strategy is Strategy.PRESERVE,
        exclude=[_pattern_of(path) for path in left],
    )


def _left(links: Sequence[ArtifactManifestEntry], wanted: Sequence[ArtifactManifestEntry]) -> list[str]:
    """Links that the daemon would follow and nobody wants; it knows those of files only."""
    files = {entry.path for entry in links if scheme_of(entry.ref_target()) == "file"}
    return sorted(files - {entry.path for entry in wanted})


def _pattern_of(path: str) -> str:
    """The pattern that matches this path alone."""
    return "/" + "".join(f"\\{character}" if character in _MEANS_SOMETHING else character for character in path)


def _refuse_unsynced(version: StoredArtifact, links: Sequence[ArtifactManifestEntry]) -> None:
    """Names what somebody wanted to be brought and could not be looked at when it was added."""
    failed = [entry for entry in links if "error_message" in metadata_of(entry)]
    if failed:
        raise ArtifactDownloadException(
            f"{version.name} has links that could not be looked at when they were added: {some_of([e.path for e in failed])}"
            f" ({metadata_of(failed[0])['error_message']}); pass sync_mode=False to download the rest."
        )


def _not_in_place(
    entries: Sequence[ArtifactManifestEntry], root: str, strategy: Strategy
) -> list[ArtifactManifestEntry]:
    """Links whose objects are to be brought; with FAIL none of them is in the way of a file.

    Raises:
        ArtifactDownloadException: with FAIL, files with other content are there.
    """
    if strategy is not Strategy.FAIL:
        return list(entries)
    absent, others = [], []
    for entry in entries:
        path = os.path.join(root, entry.path)
        if not os.path.lexists(path):
            absent.append(entry)
        elif not holds(entry, path):
            others.append(entry.path)
    if others:
        what = f"{len(others)} files are" if len(others) > 1 else "1 file is"
        raise ArtifactDownloadException(
            f"{what} in {root} already with other content: {some_of(others)}; nothing was written"
        )
    return absent


def _kept(entries: Sequence[ArtifactManifestEntry], root: str, strategy: Strategy) -> list[str]:
    """With PRESERVE, files that surely have other content than the object of their link; to be sure of all would cost the transfer."""
    if strategy is not Strategy.PRESERVE:
        return []
    places = ((entry, os.path.join(root, entry.path)) for entry in entries)
    return [entry.path for entry, path in places if os.path.lexists(path) and may_hold(entry, path) is False]
