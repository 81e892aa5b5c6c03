"""What a run does with artifacts: it logs, uses and links them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast._artifact_names import complete_name
from holdfast._catalogue_calls import CatalogueCalls
from holdfast._job_calls import priority_of
from holdfast._known_types import known_types
from holdfast._own_writes import resolve_after_own_writes
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._run_base import RunBase, StrPath
from holdfast._run_config import ArtifactValue
from holdfast._text_list import text_list
from holdfast._version_links import parse_link_target
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast.errors import NotFoundError, TypeMismatchError
from holdfast_contract.names import check_tags, check_user_aliases
from holdfastpb.daemon.v1 import log_pb2

if TYPE_CHECKING:
    from holdfast._version_lists import RunArtifacts
    from holdfastpb.registry.v1 import version_pb2

_DIGEST = re.compile("[0-9a-f]{64}")


class RunLogging(RunBase):
    """Base of `Run`: artifacts."""

    @property
    def _history_step(self) -> int | None:
        """The last step of the history that has values; None before there are any."""
        return None

    # --- logging ------------------------------------------------------------------------------------------------------

    def log_artifact(
        self,
        artifact_or_path: Artifact | StrPath,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        tags: Sequence[str] | str | None = None,
        *,
        priority: str | None = None,
    ) -> Artifact:
        """Logs an artifact as an output of this run.  Returns in milliseconds; the daemon reads, sends and commits.

        Once this has returned, the version gets committed, exactly once, whatever is killed, as soon as all are up again (of an offline
        run: once somebody calls `holdfast sync`).  The process may end; `wait()` on the result waits for the commit.

        Args:
            artifact_or_path: an artifact, a file, a folder, or a URI.
            name: of a path; default: `run-<id>-<its own name>`.
            type: of a path; default: "unspecified".
            aliases: move to the new version; "latest" does by itself.
            tags: are put on the version.
            priority: "high", "normal" or "low": its share of what the daemon sends, against other artifacts; default: the run's.

        Raises:
            ValueError: no such path, a name, alias, tag or metadata that breaks its rules, or a collection of another type.
            TypeError: neither an artifact nor a path.
            ArtifactError: a file that was added cannot be read.
            UnavailableError: the daemon cannot be reached or started.
            UsageError: the run is finished.
        """
        self._check_running("log_artifact")
        wanted = priority_of(priority)
        artifact = self._artifact_of(artifact_or_path, name, type)
        return self._log(
            artifact, text_list("aliases", aliases), text_list("tags", tags), use_after_commit=False, priority=wanted
        )

    def _artifact_of(self, artifact_or_path: Artifact | StrPath, name: str | None, type: str | None) -> Artifact:
        if isinstance(artifact_or_path, Artifact):
            return artifact_or_path
        if not isinstance(artifact_or_path, str | os.PathLike):
            raise TypeError(f"You must pass an Artifact or a path to log_artifact, not {artifact_or_path!r:.200}")
        path = os.fspath(artifact_or_path)
        own_name = os.path.basename(path.rstrip("/"))
        artifact = Artifact(name or f"run-{self.id}-{own_name}", type or "unspecified")
        if self.disabled:
            return artifact
        if os.path.isfile(path):
            artifact.add_file(path)
        elif os.path.isdir(path):
            artifact.add_dir(path)
        elif "://" in path:
            artifact.add_reference(path)
        else:
            wanted = "path must be a file, directory or external reference like s3://bucket/path"
            raise ValueError(f"{wanted}; {path!r:.200} is none")
        return artifact

    def _log(
        self,
        artifact: Artifact,
        aliases: list[str],
        tags: list[str],
        *,
        use_after_commit: bool,
        priority: log_pb2.JobPriority = log_pb2.JOB_PRIORITY_UNSPECIFIED,
    ) -> Artifact:
        check_user_aliases(aliases)
        check_tags(tags)
        if self.disabled:
            artifact.belong_to_disabled_run()
            return artifact
        if artifact.is_logged:
            return self._mark_logged(artifact, aliases, tags)
        if not self.offline:
            known_types().check(self.entity, self.project, artifact.source_name, artifact.type)
            number = artifact.semantic_version if artifact._job_id is None else None  # the one that it has taken itself
            known_types().check_number(self.entity, self.project, artifact.source_name, number)
        finalize = self._finalize_request(aliases, tags, use_after_commit=use_after_commit)
        finalize.priority = priority or finalize.priority
        artifact._log(finalize)
        return artifact

    def _finalize_request(self, aliases: list[str], tags: list[str], *, use_after_commit: bool) -> log_pb2.Finalize:
        """Returns what the run says of an artifact that it logs; the artifact fills in the rest."""
        self._has_logged = True
        step = self._history_step
        return log_pb2.Finalize(
            entity=self.entity,
            project=self.project,
            aliases=sorted({"latest", *aliases}),
            tags=list(dict.fromkeys(tags)),
            run=self.as_message(),
            use_after_commit=use_after_commit,
            has_history_step=step is not None,
            history_step=step or 0,
            hold=self.offline,
            priority=self._priority,
        )

    def _mark_logged(self, artifact: Artifact, aliases: list[str], tags: list[str]) -> Artifact:
        """Takes a version that exists already as an output of the run, with these aliases and tags; its content is what it is."""
        name, entity, project = artifact.source_name, artifact.source_entity, artifact.source_project
        if entity != self.entity:
            raise ValueError(f"Artifact {name} is owned by entity '{entity}', not '{self.entity}'")
        if project != self.project:
            raise ValueError(f"Artifact {name} exists in project '{project}', not '{self.project}'")
        if not self.offline:
            CatalogueCalls(this_process().daemon).record_logged(self.as_message(), artifact.id or "")
        artifact.aliases = list(dict.fromkeys([*artifact.aliases, *aliases]))
        artifact.tags = list(dict.fromkeys([*artifact.tags, *tags]))
        artifact.save()
        return artifact

    # --- using --------------------------------------------------------------------------------------------------------

    def use_artifact(
        self,
        artifact_or_name: str | Artifact,
        type: str | None = None,
        aliases: Sequence[str] | str | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Declares an artifact as an input of this run, and returns it; `download()` gets its files.

        What this process has logged under the name before is waited for.

        Args:
            artifact_or_name: `[[entity/]project/]name[:alias]`, where the alias may be "vN", a semantic version or a range of them
                ("1.2.0", "^1.2"), or a digest; a digest alone, of this run's project; or an artifact, which is logged and waited for
                when it is a draft.
            type: refuse a version of another type.
            aliases: move to the version.
            use_as: deprecated, ignored.

        Raises:
            NotFoundError: (a CommError) there is no such version.
            ValueError: another type, or a name that breaks its rules.
            TypeError: the run is offline.
            UsageError: the run is finished.
        """
        self._check_running("use_artifact")
        if use_as is not None:
            warn_user("`use_as` is deprecated and has no effect", DeprecationWarning)
        if self.disabled:
            return self._unused(artifact_or_name)
        if self.offline:
            raise TypeError("Cannot use artifact when in offline mode.")
        artifact = self._used(artifact_or_name, text_list("aliases", aliases))
        if type is not None and artifact.type != type:
            raise TypeMismatchError(
                f"Supplied type {type} does not match type {artifact.type} of artifact {artifact.name}"
            )
        RegistryCalls(this_process().daemon).record_use(self.as_message(), artifact.id or "")
        return artifact

    def _unused(self, artifact_or_name: str | Artifact) -> Artifact:
        """What a disabled run says it uses: the artifact itself, or something that takes every call."""
        from holdfast._no_op import NoOp

        if isinstance(artifact_or_name, Artifact):
            return artifact_or_name
        nothing: Artifact = NoOp()  # type: ignore[assignment]  # a script that runs disabled wants no data
        return nothing

    def _used(self, artifact_or_name: str | Artifact, aliases: list[str]) -> Artifact:
        if isinstance(artifact_or_name, str):
            artifact = Artifact._of_version(self._version_of(artifact_or_name))
        elif not isinstance(artifact_or_name, Artifact):
            raise ValueError(
                'You must pass an artifact name (e.g. "pedestrian-dataset:v1"), or an instance of Artifact'
                f" to use_artifact, not {artifact_or_name!r:.200}"
            )
        elif artifact_or_name.is_draft():
            return self._log(artifact_or_name, aliases, [], use_after_commit=True).wait()
        else:
            artifact = artifact_or_name
        if aliases:
            check_user_aliases(aliases)
            artifact.aliases = list(dict.fromkeys([*artifact.aliases, *aliases]))
            artifact.save()
        return artifact

    def _version_of(self, text: str) -> version_pb2.Version:
        """Returns the version of a name; a name that is a digest may also be the digest of a version of the project."""
        process = this_process()
        name = complete_name(text, entity=self.entity, project=self.project)
        try:
            return resolve_after_own_writes(name, process.daemon, process.own_writes)
        except NotFoundError:
            found = self._version_of_digest(text) if _DIGEST.fullmatch(text) else None
            if found is None:
                raise
            return found

    def _version_of_digest(self, digest: str) -> version_pb2.Version | None:
        from holdfast._catalogue_calls import CatalogueCalls
        from holdfastpb.registry.v1 import version_pb2

        request = version_pb2.SearchVersionsRequest(
            entity=self.entity, project=self.project, filter_json=f'{{"digest":"{digest}"}}', page_size=1
        )
        versions = CatalogueCalls(this_process().daemon).search_versions(request).versions
        return versions[0] if versions else None

    def _resolve(self, value: ArtifactValue) -> Artifact | None:
        """Finds the artifact of a value of the config, and uses it."""
        if self.disabled or self.offline or self.is_finished:
            return None
        if value.artifact is not None:
            return self.use_artifact(value.artifact)
        if value.name:
            return self.use_artifact(value.name)
        version = RegistryCalls(this_process().daemon).get_version(value.version_id)
        return self.use_artifact(Artifact._of_version(version))

    # --- linking ------------------------------------------------------------------------------------------------------

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Sequence[str] | str | None = None
    ) -> Artifact:
        """Links an artifact into a portfolio or registry; a draft is logged and waited for first.

        Args:
            artifact: what is linked.
            target_path: as of `Artifact.link`; what is missing is this run's entity and project.
            aliases: of the link, in the target collection.

        Returns:
            The artifact as the target collection shows it.

        Raises:
            ValueError: the target or an alias breaks its rules, or the target does not fit.
            NotImplementedError: the run is offline (a draft has been logged).
            UsageError: the run is finished.
        """
        self._check_running("link_artifact")
        target = parse_link_target(target_path)
        if artifact.is_draft() and not artifact.is_final:
            self._log(artifact, [], [], use_after_commit=False)
        if self.disabled:
            return artifact
        if self.offline:
            raise NotImplementedError("Linking artifacts is not possible in offline mode; link after `holdfast sync`.")
        return artifact._link_to(target, aliases, entity=self.entity, project=self.project)

    # --- lineage ------------------------------------------------------------------------------------------------------

    def logged_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Returns the versions that this run has logged and that are committed, oldest first."""
        from holdfast.api import Run

        return Run(self.as_message()).logged_artifacts(per_page)

    def used_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Returns the versions that this run has used, oldest first."""
        from holdfast.api import Run

        return Run(self.as_message()).used_artifacts(per_page)
