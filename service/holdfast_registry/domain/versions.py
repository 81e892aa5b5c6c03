"""Rules of versions: whether a commit makes one, which states follow which, who is the latest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from holdfast_contract.reasons import Reason
from holdfast_registry.domain.records import VersionState
from holdfast_registry.domain.semver import ANY_VERSION, SemanticVersionWish
from holdfast_registry.errors import RegistryError

_FOLLOWERS = {
    VersionState.PENDING: {VersionState.COMMITTED, VersionState.FAILED, VersionState.PART},
    VersionState.PART: {VersionState.FAILED},
    VersionState.COMMITTED: {VersionState.DELETED},
    VersionState.DELETED: {VersionState.COMMITTED},
    VersionState.FAILED: frozenset[VersionState](),
}


class CommitDecision(Enum):
    """What a commit comes to."""

    CREATE = auto()
    NO_OP = auto()
    """The latest version has this content: aliases, tags and lineage are recorded there."""
    MANIFEST_NEEDED = auto()
    """The writer expected a no-op and sent no manifest."""


@dataclass(frozen=True, slots=True)
class LatestVersion:
    """The highest committed version of a collection, as far as a commit needs it."""

    version_id: str
    version_index: int
    digest: bytes
    manifest_root: bytes
    semantic_version: str = ""


def decide_commit(
    artifact_digest: bytes,
    latest: LatestVersion | None,
    *,
    has_manifest: bool,
    wish: SemanticVersionWish = ANY_VERSION,
) -> CommitDecision:
    """Decides from the state of the collection at this moment; only the commit's own transaction may ask for good.

    Args:
        artifact_digest: of the content that is brought.
        latest: None: there is none.
        has_manifest: the writer sent one.
        wish: a semantic version that is demanded makes a version of the same content, unless the latest is the one that has it.
    """
    if latest is not None and latest.digest == artifact_digest and wish.is_met_by(latest.semantic_version):
        return CommitDecision.NO_OP
    return CommitDecision.CREATE if has_manifest else CommitDecision.MANIFEST_NEEDED


def may_follow(state: VersionState, next_state: VersionState) -> bool:
    """Tells whether a version in one state may go to the other."""
    return next_state in _FOLLOWERS[state]


def check_pending(version_id: str, state: VersionState) -> None:
    """Refuses to commit what is not waiting for it.

    Raises:
        RegistryError: VERSION_NOT_PENDING.
    """
    if not may_follow(state, VersionState.COMMITTED) or state is not VersionState.PENDING:
        raise RegistryError(
            Reason.VERSION_NOT_PENDING,
            f"Version {version_id} is {state.name} and cannot be committed; begin another one.",
            {"version": version_id, "state": state.name},
        )


def new_latest(committed: Iterable[tuple[int, str]]) -> str | None:
    """Returns the id of the version that `latest` names: of those committed the one with the highest number."""
    return max(committed, default=(-1, None))[1]


def check_type(collection: str, held_type: str, wanted_type: str) -> None:
    """Refuses to mix types in one collection.

    Raises:
        RegistryError: TYPE_MISMATCH, in the words of W&B.
    """
    if held_type != wanted_type:
        raise RegistryError(
            Reason.TYPE_MISMATCH,
            f"Artifact {collection} already exists with type '{held_type}'; "
            f"cannot create another with type '{wanted_type}'",
            {"artifact": collection, "expected": held_type, "found": wanted_type},
        )


def check_deletable(version: str, aliases: Iterable[str], links: Iterable[str], *, delete_aliases: bool) -> None:
    """Refuses to delete a version that is still named, or linked.

    Raises:
        RegistryError: HAS_ALIASES.
    """
    if delete_aliases:
        return
    named = ", ".join(sorted(aliases))
    linked = ", ".join(sorted(links))
    if named or linked:
        held = f"has aliases: {named[:300]}" if named else f"is linked into: {linked[:300]}"
        raise RegistryError(
            Reason.HAS_ALIASES,
            f"{version} still {held}; remove them first, or delete with delete_aliases=True, which removes aliases and links.",
            {"artifact": version},
        )
