"""`Experiment.get_hf_dataset`: the files of an artifact that a pattern names, brought once.

Comet keeps a file beside them that says what they are.  Here each call compares the files with the version's digests instead: it
moves nothing when they are right, and mends them when they are not.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from holdfast._process import this_process

if TYPE_CHECKING:
    from holdfast.comet._logged_artifact import LoggedArtifact


def dataset_files(
    logged: LoggedArtifact, download_directory: str | None, pathname: str, *, recursive: bool, use_cached: bool
) -> list[str]:
    """Brings a version and returns the paths of the files that match, sorted.

    Args:
        logged: the version.
        download_directory: default: a folder for this version below the setting `artifact_dir`.
        pathname: pattern as of `glob`, below the folder.
        recursive: "**" stands for folders of any depth.
        use_cached: False: files that are there are replaced even if they are right.

    Raises:
        ArtifactDownloadException: something cannot be had.
    """
    root = download_directory or os.path.join(
        os.path.abspath(this_process().settings.artifact_dir), logged.workspace, logged.name, str(logged.version)
    )
    if not use_cached:
        for asset in logged.assets:
            if os.path.isfile(os.path.join(root, asset.logical_path)):
                os.unlink(os.path.join(root, asset.logical_path))
    logged.download(root, overwrite_strategy=True)
    found = glob.glob(pathname, root_dir=root, recursive=recursive)
    return sorted(path for path in (os.path.join(root, name) for name in found) if os.path.isfile(path))
