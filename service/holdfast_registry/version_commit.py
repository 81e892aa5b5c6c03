"""The commit from the call to its transaction: what is decided outside of it is checked again inside."""

from __future__ import annotations

from dataclasses import replace

from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_registry.database.checked_manifest import CheckedManifest
from holdfast_registry.database.commits import (
    BaseChanged,
    CommitRepository,
    Committed,
    CommitWish,
    NotCommitted,
)
from holdfast_registry.database.statements import Once
from holdfast_registry.domain.versions import CommitDecision, decide_commit
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.manifest_check import LeansOnUnread, ManifestChecker, MissingChunks
from holdfast_registry.pack_verifier import PackVerifier

ROUNDS_MAX = 5
"""Each further round needs a sweep, another commit, or a pack that was not read back, between the check and the transaction."""


class VersionCommitter:
    """Commits versions."""

    def __init__(
        self, commits: CommitRepository, manifests: ManifestChecker, verifier: PackVerifier, threads: FileThreads
    ) -> None:
        self._commits = commits
        self._manifests = manifests
        self._verifier = verifier
        self._threads = threads

    async def commit(
        self, wish: CommitWish, manifest_root: bytes, once: Once[Committed]
    ) -> bytes | MissingChunks | NotCommitted | BaseChanged:
        """Commits, or tells what is missing.

        Returns:
            The encoded response; or the chunks that are to be uploaded first; or MANIFEST_NEEDED; or that the base is
            another one by now.

        Raises:
            RegistryError, ContractError: see CommitVersion.
        """
        for _ in range(ROUNDS_MAX):
            checked = await self._threads.run(self._check, wish, manifest_root, once)
            if isinstance(checked, LeansOnUnread):
                await self._verifier.read(checked.packs)
                continue
            if not isinstance(checked, CheckedManifest | None):
                return checked
            answer = await self._commits.commit(wish, checked, once)
            if isinstance(answer, bytes):
                self._verifier.hurry()
            if isinstance(answer, bytes | BaseChanged):
                return answer
            # The latest version is another one by now, or chunks have gone: look again.
        raise RegistryError(
            Reason.UNAVAILABLE, f"Version {wish.version_id} could not be committed for the others' changes; repeat it."
        )

    def _check(
        self, wish: CommitWish, manifest_root: bytes, once: Once[Committed]
    ) -> bytes | MissingChunks | LeansOnUnread | NotCommitted | BaseChanged | CheckedManifest | None:
        """Returns the manifest after its check, None when it needs none, or an answer without a commit."""
        pending = self._commits.prepare(wish, once)
        if isinstance(pending, bytes):
            return pending
        if pending.known_version_id is not None:
            return None
        if not pending.has_base(wish.base_version_id):
            return BaseChanged(pending.latest)
        decision = decide_commit(
            wish.artifact_digest, pending.latest, has_manifest=bool(manifest_root), wish=wish.semantic_version
        )
        if decision is CommitDecision.MANIFEST_NEEDED:
            return NotCommitted.MANIFEST_NEEDED
        if decision is CommitDecision.NO_OP and pending.unread_of_latest:
            return LeansOnUnread(list(pending.unread_of_latest))
        manifest = None
        if decision is CommitDecision.NO_OP and pending.has_lost_chunks:
            # Perhaps it is the latest version that is damaged: whoever logs its content again makes it whole.
            if not manifest_root:
                return NotCommitted.MANIFEST_NEEDED
            # It leans on the packs of this upload then, which are another one's to it.
            of_nobody = replace(pending, lease_id="")
            found = self._manifests.check(of_nobody, manifest_root, wish.artifact_digest)
            if isinstance(found, MissingChunks | LeansOnUnread):
                return found
            manifest = found
        if decision is CommitDecision.CREATE:
            checked = self._manifests.check(pending, manifest_root, wish.artifact_digest)
            if isinstance(checked, MissingChunks | LeansOnUnread):
                return checked
            manifest = checked
        failpoint("commit.after_validate")
        return manifest
