"""URIs of entries of artifacts: of a committed version, and of a draft that has no version yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from holdfast_contract.errors import ContractError
from holdfast_contract.paths import check_path

VERSION_SCHEME: Final = "holdfast-artifact"
DRAFT_SCHEME: Final = "holdfast-client-artifact"

_ID = re.compile("[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class EntryUri:
    """An entry of a version or of a draft."""

    is_draft: bool
    artifact_id: str
    """Of the version; of the session for a draft."""
    path: str

    def __str__(self) -> str:
        """The URI; the path stands in it as it is."""
        scheme = DRAFT_SCHEME if self.is_draft else VERSION_SCHEME
        return f"{scheme}://{self.artifact_id}/{self.path}"

    @classmethod
    def parse(cls, uri: str) -> EntryUri:
        """Takes a URI apart.

        Raises:
            ContractError: another scheme, no id, or a path that no entry can have.
        """
        scheme, _, rest = uri.partition("://")
        artifact_id, _, path = rest.partition("/")
        if scheme not in (VERSION_SCHEME, DRAFT_SCHEME) or not _ID.fullmatch(artifact_id):
            expected = f"{VERSION_SCHEME}://<version id>/<path>"
            raise ContractError(f"Not the URI of an artifact's entry: {uri!r:.200}; expected {expected}.")
        check_path(path)
        return cls(scheme == DRAFT_SCHEME, artifact_id, path)
