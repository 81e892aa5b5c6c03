"""Runs as the registry knows them: listed, looked at, and given other tags, notes and names."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any, Self

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import Page, SizedPaginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, order_text, page_request
from holdfast._registry_calls import RegistryCalls
from holdfast._run_config import decode_config, encode_config
from holdfast._run_record import RunRecord
from holdfast._run_settings import check_run_tags
from holdfast._text_list import text_list
from holdfast._times import iso_time
from holdfast._version_lists import RunArtifacts
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast.errors import WaitTimeoutError
from holdfast_contract.names import check_tags, check_user_aliases
from holdfastpb.registry.v1 import run_pb2

POLL_S = 1.0
"""Between two looks at a run that is waited for: nobody needs its end sooner, and the registry has other work."""

_ONLY_EXISTING = (
    "Only existing artifacts are accepted by this api. Manually create one with `wandb artifact put`"
    " (here: `holdfast artifact put`), or log it and wait() for it"
)


class Run(RunRecord):
    """A run as the registry knows it: what artifacts were logged and used by.

    `display_name`, `group`, `job_type`, `tags`, `notes` and `config` may be changed; `update()` keeps the changes.
    """

    def __init__(self, record: run_pb2.Run) -> None:
        """Makes the object of a record."""
        self._take(record)

    def _take(self, record: run_pb2.Run) -> None:
        self._stored = record
        self._record = run_pb2.Run()
        self._record.CopyFrom(record)
        self._config = decode_config(record.config_json)
        self._tags = list(record.tags)

    # --- what is stored -----------------------------------------------------------------------------------------------

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def state(self) -> str:
        """One of "running", "finished", "failed" and "crashed", as it was last told."""
        return str(self._record.state)

    @property
    def created_at(self) -> str:
        """When it began, by its own host's clock: ISO 8601, UTC."""
        return iso_time(self._record.created_at_ms)

    @property
    def updated_at(self) -> str:
        """When something of it changed last: ISO 8601, UTC."""
        return iso_time(self._record.updated_at_ms or self._record.created_at_ms)

    @property
    def host(self) -> str:
        """The name of the machine that it ran on; empty when it was not told."""
        return str(self._record.host)

    # --- what may be changed ------------------------------------------------------------------------------------------

    @property
    def display_name(self) -> str:
        """The name for people; the id when none was given."""
        return super().display_name

    @display_name.setter
    def display_name(self, display_name: str) -> None:
        self._record.display_name = display_name

    @property
    def name(self) -> str:
        """As `display_name`."""
        return self.display_name

    @name.setter
    def name(self, name: str) -> None:
        self.display_name = name

    @property
    def group(self) -> str:
        """Group of runs that belong together; empty when none was given."""
        return super().group

    @group.setter
    def group(self, group: str | None) -> None:
        self._record.group = group or ""

    @property
    def job_type(self) -> str:
        """What the run does; empty when it was not given."""
        return super().job_type

    @job_type.setter
    def job_type(self, job_type: str | None) -> None:
        self._record.job_type = job_type or ""

    @property
    def tags(self) -> list[str]:
        """The tags; may be changed in place or set."""
        return self._tags

    @tags.setter
    def tags(self, tags: Collection[str]) -> None:
        check_run_tags(list(tags))
        self._tags = list(dict.fromkeys(tags))

    @property
    def notes(self) -> str:
        """Free text."""
        return str(self._record.notes)

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._record.notes = notes or ""

    @property
    def description(self) -> str:
        """As `notes`."""
        return self.notes

    @description.setter
    def description(self, description: str | None) -> None:
        self.notes = description or ""

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it is stored: an artifact in it is the dict of its `json_encode()`.  May be changed in place."""
        return self._config

    @config.setter
    def config(self, config: dict[str, Any]) -> None:
        self._config = decode_config(encode_config(config))

    @normalize_exceptions
    def load(self, force: bool = False) -> Self:
        """Reads the run again; what was changed and not updated is lost.

        Args:
            force: accepted for compatibility.

        Raises:
            NotFoundError: (a CommError) it is gone.
        """
        self._take(_registry().get_run(self.entity, self.project, self.id))
        return self

    @normalize_exceptions
    def update(self) -> None:
        """Keeps what was changed; of a run that is going on, what it tells itself later wins.

        Raises:
            CommError: a tag or the configuration breaks its rules.
        """
        request = self._changes()
        if request.cleared or request.run != self._key():
            self._take(CatalogueCalls(this_process().daemon).upsert_run(request))

    def save(self) -> None:
        """As `update`."""
        self.update()

    def _changes(self) -> run_pb2.UpsertRunRequest:
        """Only what differs is sent: the run may be going on elsewhere, and its state is its own to tell."""
        check_run_tags(self._tags)
        request = run_pb2.UpsertRunRequest(run=self._key())
        for field in ("display_name", "group", "job_type", "notes"):
            value = getattr(self._record, field)
            if value and value != getattr(self._stored, field):
                setattr(request.run, field, value)
            elif value != getattr(self._stored, field):
                request.cleared.append(field)
        if not self._tags and self._stored.tags:
            request.cleared.append("tags")
        elif self._tags != list(self._stored.tags):
            request.run.tags.extend(self._tags)
        config_json = encode_config(self._config)
        if decode_config(config_json) != decode_config(self._stored.config_json):
            request.run.config_json = config_json
        return request

    def _key(self) -> run_pb2.Run:
        return run_pb2.Run(entity=self.entity, project=self.project, run_id=self.id)

    @normalize_exceptions
    def wait_until_finished(self, *, timeout: float | None = None) -> None:
        """Returns when the run is not running any more; looks once a second.

        Args:
            timeout: seconds; None waits as long as it takes, also for a run whose host died without a word.

        Raises:
            WaitTimeoutError: it was still running.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.load().state == "running":
            if deadline is not None and time.monotonic() + POLL_S > deadline:
                raise WaitTimeoutError(f"Run {'/'.join(self.path)} was still running after {timeout} s")
            time.sleep(POLL_S)

    # --- artifacts ----------------------------------------------------------------------------------------------------

    @normalize_exceptions
    def logged_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Returns the versions that the run logged, oldest first.

        Args:
            per_page: versions of one request, at most 1,000.
        """
        return RunArtifacts(self, "logged", per_page)

    @normalize_exceptions
    def used_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Returns the versions that the run used, oldest first.

        Args:
            per_page: versions of one request, at most 1,000.
        """
        return RunArtifacts(self, "used", per_page)

    @normalize_exceptions
    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Declares a logged version as an input of this run, and returns it.

        Args:
            artifact: a logged version.
            use_as: deprecated, ignored.

        Raises:
            CommError: a draft, or no artifact at all.
        """
        if use_as is not None:
            warn_user("`use_as` is deprecated and has no effect", DeprecationWarning)
        _registry().record_use(self._key(), _existing(artifact, "use_artifact").id or "")
        return artifact

    @normalize_exceptions
    def log_artifact(
        self, artifact: Artifact, aliases: Collection[str] | None = None, tags: Collection[str] | None = None
    ) -> Artifact:
        """Declares a logged version as an output of this run, and returns it.

        Args:
            artifact: a logged version of the run's own project.
            aliases: are put on the version.
            tags: are put on the version.

        Raises:
            CommError: a draft, no artifact at all, another project's, or a name that breaks its rules.
        """
        existing = _existing(artifact, "log_artifact")
        if (existing.source_entity, existing.source_project) != (self.entity, self.project):
            raise ValueError(
                "A run can't log an artifact to a different project."
                f" {existing.source_qualified_name} is not of {self.entity}/{self.project}"
            )
        aliases, tags = text_list("aliases", aliases), text_list("tags", tags)
        check_user_aliases(aliases)
        check_tags(tags)
        CatalogueCalls(this_process().daemon).record_logged(self._key(), existing.id or "")
        if aliases or tags:
            existing.aliases = list(dict.fromkeys([*existing.aliases, *aliases]))
            existing.tags = list(dict.fromkeys([*existing.tags, *tags]))
            existing.save()
        return existing

    # --- what is not kept here ----------------------------------------------------------------------------------------

    @property
    def summary(self) -> dict[str, Any]:
        """Empty: runs are kept for their artifacts, and metrics are not."""
        return {}

    def files(self, names: list[str] | None = None, per_page: int = 50) -> list[Any]:
        """Returns no files: runs have none besides their artifacts."""
        return []

    def history(self, *arguments: Any, **named: Any) -> list[Any]:
        """Returns no history: metrics are not kept."""
        return []

    def scan_history(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        """Returns no history: metrics are not kept."""
        return iter(())

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"


class Runs(SizedPaginator[Run]):
    """The runs of a project."""

    def __init__(
        self,
        entity: str,
        project: str,
        filters: Filter | None = None,
        order: str | None = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        *,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `Api.runs`.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        super().__init__(per_page, start)
        self.entity = entity
        self.project = project
        self._request = run_pb2.ListRunsRequest(
            entity=entity,
            project=project,
            filter_json=filter_json(filters),
            order=order_text(order),
            page_size=self.per_page,
        )

    def _fetch(self, cursor: str | None) -> Page[Run]:
        page = CatalogueCalls(this_process().daemon).list_runs(page_request(self._request, cursor))
        return Page([Run(record) for record in page.runs], page.next_page_token or None, page.total_count)

    def __repr__(self) -> str:
        return f"<Runs {self.entity}/{self.project}>"


def _existing(artifact: Artifact, method: str) -> Artifact:
    if not isinstance(artifact, Artifact):
        raise TypeError(f"You must pass an artifact of holdfast.Api().artifact() to {method}, not {artifact!r:.200}")
    if artifact.is_draft():
        raise ValueError(f"{_ONLY_EXISTING}: {artifact.name}")
    return artifact


def _registry() -> RegistryCalls:
    return RegistryCalls(this_process().daemon)
