"""Fetches what the references of a version point to: several at a time, each checked and then put in place, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from holdfast._warn_user import warn_user
from holdfast.errors import ReferenceMissingError, UnknownSchemeError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import StorageHandler
from holdfast.references.target_file import TargetFile

FETCHES_AT_ONCE_MAX = 8
"""Objects; large ones come in several parts at once, so this fills a line without drowning a server."""
QUEUED_MAX = 64
"""Fetches that wait for their turn: a version of a million references is not a million tasks."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How `fetch_references` treats what it finds."""

    allow_missing: bool = False
    """Skip, with a warning, objects that are gone or that no handler can bring."""
    keep_existing: bool = False
    """Leave files alone that are there already, whatever they hold."""
    replace_existing: bool = True
    """False: a file with other content (or whose content cannot be compared) is an error."""


def fetch_references(
    entries: Iterable[ArtifactManifestEntry], root: str, handler: StorageHandler, options: FetchOptions
) -> None:
    """Puts referenced objects below a folder.

    Args:
        entries: references.
        root: the folder, absolute; made when absent.
        handler: brings the objects.
        options: what to do with missing objects and existing files.

    Raises:
        ReferenceMissingError, ReferenceChangedError: an object is gone, or another one; what was fetched before stays.
        PathConflictError: (a ValueError) a file is in the way that is not to be replaced.
        UnknownSchemeError: (a ValueError) no handler can bring an object.
        ValueError: a path leaves the folder, or something is in the way.
        CommError: a server refuses, or cannot be asked.
    """
    running: dict[Future[None], str] = {}
    pool = ThreadPoolExecutor(FETCHES_AT_ONCE_MAX, "holdfast-reference-fetch")
    try:
        for entry in entries:
            running[pool.submit(_fetch, entry, root, handler, options)] = entry.path
            while len(running) >= QUEUED_MAX:
                _collect(running, options)
        while running:
            _collect(running, options)
    finally:
        pool.shutdown(cancel_futures=True)


def _fetch(entry: ArtifactManifestEntry, root: str, handler: StorageHandler, options: FetchOptions) -> None:
    target = TargetFile(root, entry.path, replace=options.replace_existing)
    if not (options.keep_existing and target.exists()):
        handler.fetch(entry, target)


def _collect(running: dict[Future[None], str], options: FetchOptions) -> None:
    """Waits for at least one fetch to end, and judges how."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        path = running.pop(future)
        error = future.exception()
        if error is None:
            continue
        if not (options.allow_missing and isinstance(error, ReferenceMissingError | UnknownSchemeError)):
            raise error
        warn_user(f"{path} was skipped: {error}")
