"""Whether a local file is what an entry promises: by digest, and of links whose store tells no digest of the bytes by the bytes."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from typing import IO

from holdfast._local_file import LocalFile, digest_of_file
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.registration import default_handler
from holdfast.references.target_file import TargetFile, md5_of
from holdfast_contract.digest import file_digest

BLOCK_BYTES = 1 << 20
_MD5 = re.compile("[0-9a-f]{32}")
_BLAKE3 = re.compile("[0-9a-f]{64}")


def holds(entry: ArtifactManifestEntry, path: str) -> bool:
    """Returns whether a file has the content of an entry; reads a link's object only where nothing else tells.

    Raises:
        Error: the object has to be read, and cannot be.
    """
    known = may_hold(entry, path)
    return _reads_alike(entry, path) if known is None else known


def may_hold(entry: ArtifactManifestEntry, path: str) -> bool | None:
    """As `holds`, without reading anything but the file; None: that does not tell."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode):
        return False
    if (entry.size or not entry.is_reference) and found.st_size != entry.size:
        return False
    if not entry.is_reference:
        return digest_of_file(LocalFile(path, found.st_size)) == entry.digest
    digest = entry.digest
    if _BLAKE3.fullmatch(digest) and digest != file_digest(entry.ref_target().encode()).hex():
        return digest_of_file(LocalFile(path, found.st_size)) == digest
    # Not every ETag that looks like an MD5 is one, so only an equal one tells.
    return True if _MD5.fullmatch(digest) and _md5_of(path) == digest else None


def _md5_of(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return md5_of(file)


def _reads_alike(entry: ArtifactManifestEntry, path: str) -> bool:
    with fetched_stream(entry) as theirs, open(path, "rb") as mine:
        while True:
            one, other = theirs.read(BLOCK_BYTES), mine.read(BLOCK_BYTES)
            if one != other:
                return False
            if not one:
                return True


def fetched_stream(entry: ArtifactManifestEntry) -> IO[bytes]:
    """Opens a copy of a link's object, checked as far as can be, that has no name and goes when it is closed.

    Raises:
        Error: the object cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        target = TargetFile(folder, "object")
        default_handler().fetch(entry, target)
        return open(target.path, "rb")
