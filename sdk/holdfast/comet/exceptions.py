"""Comet's exceptions; each has ours, which says more, as its `__cause__`.

CometException
  LogArtifactException                 an artifact cannot be logged; `sdk_error_code` says why, as Comet numbers it
  LogAssetException                    one of its assets cannot
  GetArtifactException                 an artifact cannot be had
    ArtifactNotFound                   there is no such artifact or version
    ArtifactNotFinalException          the version is not committed
  ArtifactAssetNotFound                the artifact has no such asset
  ArtifactDownloadException            assets cannot be brought, or a file with other content is in the way
  ArtifactConflictingAssetLogicalPath  two assets want one logical path
  AssetIsTooBig                        an asset is larger than the store takes
  ExperimentDisabledException          the experiment was begun with disabled=True
  ExperimentNotAlive                   the experiment has ended
  ExperimentCleaningException          what the experiment has logged failed before its end
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from holdfast.errors import ArtifactStatusError, Error, NotFoundError
from holdfast_contract.reasons import Reason

VERSION_EXISTS = 90399
NO_ARTIFACT = 624522
NO_VERSION = 624523
VERSION_DELETED = 7000019
INVALID_VERSION = 42001
WORKSPACE_IS_FULL = 90501

CODE_OF_REASON: Mapping[Reason, int] = MappingProxyType(
    {
        Reason.SEMVER_EXISTS: VERSION_EXISTS,
        Reason.SEMVER_REUSED: VERSION_DELETED,
        Reason.NOT_FOUND: NO_VERSION,
        Reason.QUOTA_EXCEEDED: WORKSPACE_IS_FULL,
        Reason.OUT_OF_SPACE: WORKSPACE_IS_FULL,
    }
)
"""Comet's numbers, of those reasons that have one."""


class CometException(Exception):
    """Base of all exceptions of this package."""


class ExperimentDisabledException(CometException):
    """The experiment was begun with `disabled=True`."""


class ExperimentNotAlive(CometException):
    """The experiment has ended."""


class ExperimentCleaningException(CometException):
    """Something that the experiment has logged failed."""


class LogArtifactException(CometException):
    """An artifact cannot be logged."""

    def __init__(self, backend_err_msg: str, sdk_error_code: int | None = None) -> None:
        """Makes the exception of a message and of Comet's number for what went wrong."""
        super().__init__(backend_err_msg)
        self.backend_err_msg = backend_err_msg
        self.sdk_error_code = sdk_error_code


class LogAssetException(CometException):
    """An asset cannot be logged."""


class GetArtifactException(CometException):
    """An artifact cannot be had."""


class ArtifactNotFound(GetArtifactException):
    """There is no such artifact or version."""


class ArtifactNotFinalException(GetArtifactException):
    """The version is not committed."""


class ArtifactAssetNotFound(CometException):
    """The artifact has no asset of this logical path."""

    def __init__(self, logical_path: str, logged_artifact: object) -> None:
        """Makes the exception of the path that was asked for and the artifact that does not have it."""
        super().__init__(f"There is no asset with the logical path {logical_path!r} in {logged_artifact}")
        self.logical_path = logical_path
        self.logged_artifact = logged_artifact


class ArtifactDownloadException(CometException):
    """Assets cannot be brought, or a file with other content is in the way."""


class ArtifactConflictingAssetLogicalPath(CometException):
    """Two assets want one logical path."""

    def __init__(self, existing_asset: object, conflicting_asset: object, common_logical_path: str) -> None:
        """Makes the exception of the two assets and their path."""
        super().__init__(
            f"Cannot add asset {_shown(conflicting_asset)}: the logical path {common_logical_path!r} is taken by"
            f" {_shown(existing_asset)}; remove() that one first, or choose another logical path."
        )
        self.existing_asset = existing_asset
        self.conflicting_asset = conflicting_asset
        self.common_logical_path = common_logical_path


class AssetIsTooBig(CometException):
    """An asset is larger than the store takes."""


def _shown(asset: object) -> str:
    source = getattr(asset, "link", None) or getattr(asset, "local_path_or_data", None)
    return repr(source) if isinstance(source, str) else f"of {type(source).__name__}"


@contextlib.contextmanager
def told_as(kind: Callable[[Exception], CometException]) -> Iterator[None]:
    """Lets what the block raises of ours leave as an exception of Comet's, with ours as its cause."""
    try:
        yield
    except (Error, ArtifactStatusError, ValueError, OSError) as error:
        raise kind(error) from error


def not_found(error: Exception) -> CometException:
    """Returns Comet's exception for one of ours that came while something was looked up."""
    kind = ArtifactNotFound if isinstance(error, NotFoundError) else GetArtifactException
    return kind(str(error))


def not_downloaded(error: Exception) -> CometException:
    """Returns Comet's exception for one of ours that came while something was brought."""
    return ArtifactDownloadException(str(error))


def code_of(error: Exception) -> int | None:
    """Returns Comet's number for one of our errors; None: it has none."""
    reason = error.reason if isinstance(error, Error) else None
    return CODE_OF_REASON.get(reason) if reason is not None else None


def not_logged(error: Exception) -> CometException:
    """Returns Comet's exception for one of ours that came while something was logged; raise it from that one."""
    return LogArtifactException(str(error), code_of(error))
