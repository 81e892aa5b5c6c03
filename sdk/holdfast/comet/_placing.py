"""Puts one entry's file in place, under any name.

Order: a new folder beside the place, the file in it (checked), rename, the folder goes.  A crash leaves the old file or the new
one, and perhaps that folder, `.holdfast-…`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from holdfast._warn_user import warn_user
from holdfast.comet._comparison import holds
from holdfast.comet._strategies import Strategy
from holdfast.comet.exceptions import ArtifactDownloadException, not_downloaded, told_as

if TYPE_CHECKING:
    from holdfast.artifact import Artifact as StoredArtifact
    from holdfast.manifest import ArtifactManifestEntry


def place_entry(version: StoredArtifact, entry: ArtifactManifestEntry, target: str, strategy: Strategy) -> None:
    """Brings an entry's file to a path; nothing is brought when the file is there already.

    Raises:
        ArtifactDownloadException: another file is there and is not to be replaced, or the bytes cannot be had.
    """
    with told_as(not_downloaded):
        if os.path.lexists(target):
            if holds(entry, target):
                return
            if strategy is Strategy.PRESERVE:
                warn_user(f"{target} was kept although its content is not that of {entry.path} in {version.name}.")
                return
            if strategy is Strategy.FAIL:
                raise ArtifactDownloadException(
                    f"{target} is there already with other content than {entry.path} in {version.name};"
                    " pass overwrite_strategy='OVERWRITE' to replace it, or 'PRESERVE' to keep it."
                )
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=".holdfast-", dir=folder)
        try:
            os.replace(version.download_entry(entry, staging), target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
