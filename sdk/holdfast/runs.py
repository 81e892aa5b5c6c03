"""`Run`: one execution of a script, to which the artifacts that it logs and uses belong; and `init`, which begins one.

A run is a name on lineage edges.  Nothing about it needs a server that is up: what it logs carries it along.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from holdfast import _active_run
from holdfast._artifact_names import complete_name
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._run_record import RunRecord
from holdfast.artifact import Artifact
from holdfast.errors import Error, TypeMismatchError
from holdfast_contract.metadata import encode_metadata, to_plain_metadata
from holdfast_contract.names import check_entity, check_project, check_run_id, check_tags, check_user_aliases
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import run_pb2

RUN_ID_CHARS = 8
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"

REPORT_DEADLINE_S = 2.0
FINISH_PATIENCE_S = 0.5
"""`finish` waits so long at most for the registry to hear of it; a script's end is not to be held up by a courtesy."""

MODES = ("online", "offline", "disabled")

StrPath = str | os.PathLike[str]
RunState = Literal["running", "finished", "failed"]


def new_run_id() -> str:
    """Returns a fresh id: 8 characters of base 36, from the kernel's randomness, since forked children share `random`'s."""
    number = int.from_bytes(os.urandom(16), "big")
    characters = []
    for _ in range(RUN_ID_CHARS):
        number, digit = divmod(number, len(_BASE36))
        characters.append(_BASE36[digit])
    return "".join(characters)


class Config(MutableMapping[str, Any]):
    """A run's configuration: a dict whose keys are attributes, too."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        """Makes a configuration with these values."""
        object.__setattr__(self, "_values", dict(values or {}))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"config has no key {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def as_dict(self) -> dict[str, Any]:
        """Returns a copy as a plain dict."""
        return dict(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class Run(RunRecord):
    """One execution of a script.  Made by `init`; a context manager that finishes it."""

    def __init__(self, record: run_pb2.Run, config: Config, *, mode: str = "online", directory: str = ".") -> None:
        """Makes a run of what `init` has checked."""
        self._record = record
        self._mode = mode
        self._dir = directory
        self._reports: list[threading.Thread] = []
        self.config = config
        self.notes: str | None = record.notes or None
        self.tags: tuple[str, ...] = tuple(record.tags)

    # --- identity -----------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def dir(self) -> str:
        """The folder that `init` was given."""
        return self._dir

    @property
    def disabled(self) -> bool:
        """Whether the run does nothing: `mode="disabled"`."""
        return self._mode == "disabled"

    @property
    def is_finished(self) -> bool:
        """Whether `finish` was called."""
        return self._record.state != "running"

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def log_artifact(
        self,
        artifact_or_path: Artifact | StrPath,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        tags: list[str] | None = None,
    ) -> Artifact:
        """Logs an artifact as an output of this run.  Returns in milliseconds; the daemon reads, sends and commits.

        Once this has returned, the version gets committed, exactly once, whatever is killed, as soon as all are up again.
        The process may end; `wait()` on the result waits for the commit.

        Args:
            artifact_or_path: an artifact, a file, a folder, or a URI.
            name: of a path; default: `run-<id>-<its own name>`.
            type: of a path; default: "unspecified".
            aliases: move to the new version; "latest" does by itself.
            tags: are put on the version.

        Raises:
            ValueError: no such path, or a name, alias, tag or metadata that breaks its rules.
            TypeError: neither an artifact nor a path.
            ArtifactError: a file that was added cannot be read.
            UnavailableError: the daemon cannot be reached or started.
        """
        self._check_running("log_artifact")
        artifact = self._artifact_of(artifact_or_path, name, type)
        return self._log(artifact, _as_list(aliases), _as_list(tags), use_after_commit=False)

    def _artifact_of(self, artifact_or_path: Artifact | StrPath, name: str | None, type: str | None) -> Artifact:
        if isinstance(artifact_or_path, Artifact):
            return artifact_or_path
        if not isinstance(artifact_or_path, str | os.PathLike):
            raise TypeError(f"You must pass an Artifact or a path to log_artifact, not {artifact_or_path!r:.200}")
        path = os.fspath(artifact_or_path)
        own_name = os.path.basename(path.rstrip("/"))
        artifact = Artifact(name or f"run-{self.id}-{own_name}", type or "unspecified")
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

    def _log(self, artifact: Artifact, aliases: list[str], tags: list[str], *, use_after_commit: bool) -> Artifact:
        check_user_aliases(aliases)
        check_tags(tags)
        if artifact.is_logged:
            return self._mark_logged(artifact, aliases, tags)
        if self.disabled:
            artifact.finalize()
            return artifact
        request = log_pb2.Finalize(
            entity=self.entity,
            project=self.project,
            aliases=sorted({"latest", *aliases}),
            tags=list(dict.fromkeys(tags)),
            run=self.as_message(),
            use_after_commit=use_after_commit,
        )
        artifact._log(request)
        return artifact

    def _mark_logged(self, artifact: Artifact, aliases: list[str], tags: list[str]) -> Artifact:
        """Puts aliases and tags on a version that exists already; its content is what it is."""
        if artifact.entity != self.entity:
            raise ValueError(f"Artifact {artifact.name} is owned by entity '{artifact.entity}', not '{self.entity}'")
        if artifact.project != self.project:
            raise ValueError(f"Artifact {artifact.name} exists in project '{artifact.project}', not '{self.project}'")
        artifact.aliases = list(dict.fromkeys([*artifact.aliases, *aliases]))
        artifact.tags = list(dict.fromkeys([*artifact.tags, *tags]))
        artifact.save()
        return artifact

    def use_artifact(
        self,
        artifact_or_name: str | Artifact,
        type: str | None = None,
        aliases: list[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Declares an artifact as an input of this run, and returns it; `download()` gets its files.

        Args:
            artifact_or_name: `[[entity/]project/]name[:alias]`, where the alias may be "vN" or a digest; or an artifact, which
                is logged and waited for when it is a draft.
            type: refuse a version of another type.
            aliases: move to the version.
            use_as: deprecated, ignored.

        Raises:
            NotFoundError: (a CommError) there is no such version.
            ValueError: another type, or a name that breaks its rules.
            TypeError: the run is disabled.
        """
        self._check_running("use_artifact")
        if use_as is not None:
            warnings.warn("`use_as` is deprecated and has no effect", DeprecationWarning, stacklevel=2)
        if self.disabled:
            raise TypeError("Cannot use artifact when in disabled mode.")
        artifact = self._used(artifact_or_name, _as_list(aliases))
        if type is not None and artifact.type != type:
            raise TypeMismatchError(
                f"Supplied type {type} does not match type {artifact.type} of artifact {artifact.name}"
            )
        RegistryCalls(this_process().daemon).record_use(self.as_message(), artifact.id or "")
        return artifact

    def _used(self, artifact_or_name: str | Artifact, aliases: list[str]) -> Artifact:
        if isinstance(artifact_or_name, str):
            name = complete_name(artifact_or_name, entity=self.entity, project=self.project)
            artifact = Artifact._of_version(RegistryCalls(this_process().daemon).resolve_version(name))
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

    # --- the run itself -----------------------------------------------------------------------------------------------

    def finish(self, exit_code: int | None = None) -> None:
        """Ends the run.  Uploads go on in the daemon; nobody waits for them.

        Args:
            exit_code: not 0 marks the run as failed.
        """
        _active_run.forget(self)
        if self.is_finished:
            return
        self._record.state = "failed" if exit_code else "finished"
        self.report()
        deadline = time.monotonic() + FINISH_PATIENCE_S
        for report in self._reports:
            report.join(max(0.0, deadline - time.monotonic()))

    def as_message(self) -> run_pb2.Run:
        """Returns the run as it travels."""
        message = run_pb2.Run()
        message.CopyFrom(self._record)
        message.config_json = encode_metadata(to_plain_metadata(self.config.as_dict()))
        message.notes = self.notes or ""
        del message.tags[:]
        message.tags.extend(self.tags)
        return message

    def report(self) -> None:
        """Tells the registry of the run's state, in the background and only if a daemon runs; what is logged carries it, too."""
        if self.disabled:
            return
        before = self._reports[-1] if self._reports else None
        arguments = (self.as_message(), before)
        thread = threading.Thread(target=_report, args=arguments, name="holdfast-run-report", daemon=True)
        self._reports.append(thread)
        thread.start()

    def _check_running(self, method: str) -> None:
        if self.is_finished:
            raise Error(f"Run ({self.id}) is finished. The call to `{method}` will be ignored. Please make a new run.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(exit_code=0 if error is None else 1)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"


def init(  # noqa: PLR0913 - the arguments that scripts written for W&B pass
    entity: str | None = None,
    project: str | None = None,
    name: str | None = None,
    id: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    config: Mapping[str, Any] | Any | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    mode: str | None = None,
    dir: StrPath | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    settings: Any = None,
    **unknown: Any,
) -> Run:
    """Begins a run and makes it the active one.  Needs no server, and does not wait for one.

    Args:
        entity: tenant; default: HOLDFAST_ENTITY, else "local".
        project: default: HOLDFAST_PROJECT, else "uncategorized".
        name: display name; default: the id.
        id: unique in the project; default: 8 random characters.
        group: of runs that belong together.
        job_type: what the run does, for example "train".
        config: a dict, or an object whose attributes are the configuration.
        tags: any texts.
        notes: free text.
        mode: "online", "offline" (the same: jobs wait for the registry by themselves) or "disabled" (nothing is logged).
        dir: kept as `run.dir`.
        reinit: True or "finish_previous" finishes a run that is active, "create_new" leaves it; else it is returned.
        resume: accepted for compatibility; a run of the same id is always gone on with.
        settings: accepted for compatibility.
        unknown: accepted with one warning.

    Raises:
        ValueError: a name, the id or the mode breaks its rules.
        TypeError: the config is no mapping and has no attributes.
    """
    if unknown:
        warnings.warn(f"holdfast.init() ignores {', '.join(sorted(unknown))}", stacklevel=2)
    if mode not in (None, *MODES):
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    previous = _active_run.active_run()
    if previous is not None and reinit in (True, "finish_previous"):
        previous.finish()
    elif previous is not None and reinit != "create_new":
        return previous
    defaults = this_process().settings
    record = run_pb2.Run(
        entity=entity or defaults.entity,
        project=project or defaults.project,
        run_id=id or new_run_id(),
        display_name=name or "",
        group=group or "",
        job_type=job_type or "",
        tags=list(tags or ()),
        notes=notes or "",
        state="running",
        host=socket.gethostname(),
        created_at_ms=time.time_ns() // 1_000_000,
    )
    _check(record)
    directory = "." if dir is None else os.fspath(dir)
    run = Run(record, Config(_config_values(config)), mode=mode or "online", directory=directory)
    _active_run.activate(run)
    run.report()
    return run


def _check(record: run_pb2.Run) -> None:
    check_entity(record.entity)
    check_project(record.project)
    check_run_id(record.run_id)


def _config_values(config: Mapping[str, Any] | Any | None) -> Mapping[str, Any]:
    if config is None or isinstance(config, Mapping):
        return config or {}
    try:
        values: Mapping[str, Any] = vars(config)  # such as argparse's
    except TypeError:
        raise TypeError(f"config must be a dict or have attributes, not {type(config).__name__}") from None
    return values


def _as_list(names: Sequence[str] | str | None) -> list[str]:
    """A single name may be given as text."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _report(message: run_pb2.Run, before: threading.Thread | None) -> None:
    if before is not None:
        before.join()
    daemon = this_process().daemon
    try:
        if daemon.launcher.is_listening():
            RegistryCalls(daemon).upsert_run(message, deadline_s=REPORT_DEADLINE_S)
    except (Error, OSError):
        return  # a courtesy: what the run logs carries it along
