"""Versions that several processes and hosts write together: each brings its part, and one of them finishes."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from holdfast._known_types import known_types
from holdfast._run_base import StrPath
from holdfast._run_logging import RunLogging
from holdfast._text_list import text_list
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast_contract.names import check_user_aliases
from holdfastpb.daemon.v1 import log_pb2


class RunDistributed(RunLogging):
    """Base of `Run`: distributed versions."""

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | StrPath,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Writes a part of a version that several processes make together; `finish_artifact` commits it.

        Returns in milliseconds (after two seconds, if the registry does not answer), and is as durable as `log_artifact`.
        `wait()` on the result waits until the part is at the registry; the artifact stays a draft.  A finish, wherever it is
        called, waits for every part whose upsert has returned.

        A process may bring several parts: a later one replaces its own earlier entries.  Between processes a path may have one
        content only: whoever finishes is told of two.

        Args:
            artifact_or_path: an artifact, a file, a folder, or a URI; all who take part give the same name and type.
            name: of a path; default: `run-<id>-<its own name>`.
            type: of a path; default: "unspecified".
            aliases: accepted for compatibility; those that are given to `finish_artifact` count.
            distributed_id: the same for all who take part, another one for each version; default: the run's group.

        Raises:
            TypeError: the run has no group and no id was given; or neither an artifact nor a path.
            ValueError: as of `log_artifact`; the artifact is incremental, or was logged before.
            DistributedError: (by `wait()`) the version was finished before, without entries of this part.
        """
        artifact, request = self._distributed_request(
            "upsert", artifact_or_path, name, type, text_list("aliases", aliases), distributed_id
        )
        if aliases:
            warn_user("A part has no aliases; give them to finish_artifact")
        if artifact.is_part:
            return artifact
        if artifact.is_logged:
            raise ValueError(f"Artifact {artifact.name} was logged before; make a new one for another part.")
        return self._hand_over(artifact, request)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | StrPath,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        distributed_id: str | None = None,
        without_lost_writers: bool = False,
    ) -> Artifact:
        """Commits the version that several processes have written; what is added here is part of it, too.

        Call it when every process has called `upsert_artifact`; it waits for parts that are still on their way.  Finishing again,
        here or elsewhere, gives the same version.

        Args:
            artifact_or_path: with or without content; the same name and type as of the parts.
            name: of a path; default: `run-<id>-<its own name>`.
            type: of a path; default: "unspecified".
            aliases: move to the new version; "latest" does by itself.
            distributed_id: as of `upsert_artifact`.
            without_lost_writers: commit without the parts of processes that are gone; without it they are an error that names them.

        Raises:
            TypeError: the run has no group and no id was given; or neither an artifact nor a path.
            ValueError: as of `log_artifact`; the artifact is incremental.
            DistributedError: (by `wait()`) two parts have one path with two contents, or a writer is gone; `detail` names them.
            NotFoundError: (by `wait()`) nobody has brought a part.
        """
        artifact, request = self._distributed_request(
            "finish", artifact_or_path, name, type, text_list("aliases", aliases), distributed_id
        )
        request.distributed_finish = True
        request.distributed_without_lost_writers = without_lost_writers
        if artifact.is_logged:
            return artifact if self.disabled else self._mark_logged(artifact, text_list("aliases", aliases), [])
        artifact._go_on_after_part()
        return self._hand_over(artifact, request)

    def _distributed_request(
        self,
        verb: str,
        artifact_or_path: Artifact | StrPath,
        name: str | None,
        type: str | None,
        aliases: list[str],
        distributed_id: str | None,
    ) -> tuple[Artifact, log_pb2.Finalize]:
        self._check_running(f"{verb}_artifact")
        common_id = distributed_id or self.group
        if not common_id:
            raise TypeError(f"Cannot {verb} artifact unless run is in a group or distributed_id is provided")
        check_user_aliases(aliases)
        artifact = self._artifact_of(artifact_or_path, name, type)
        if artifact.incremental:
            raise ValueError(f"Artifact {artifact.name} is incremental and cannot be a part of a distributed version.")
        request = self._finalize_request(aliases, [], use_after_commit=False)
        request.distributed_id = common_id
        request.writer = f"{socket.gethostname()}/pid {os.getpid()}/run {self.id}"
        return artifact, request

    def _hand_over(self, artifact: Artifact, request: log_pb2.Finalize) -> Artifact:
        if self.disabled:
            artifact.belong_to_disabled_run()
            return artifact
        if not self.offline:
            known_types().check(self.entity, self.project, artifact.source_name, artifact.type)
        artifact.distributed_id = request.distributed_id
        artifact._log(request)
        return artifact
