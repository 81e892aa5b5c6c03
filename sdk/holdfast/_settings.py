"""What can be set in the user's process; everything else belongs to the daemon."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast._warn_user import warn_user
from holdfast_contract.settings import environment_name, load_settings, unknown_variables

SECTION = "holdfast"

_OTHER_PROCESSES = ("HOLDFAST_DAEMON_", "HOLDFAST_REGISTRY_")
"""Names that the daemon and the registry judge themselves."""


@dataclass(frozen=True, slots=True)
class SdkSettings:
    """Settings of the SDK.  Environment: HOLDFAST_<FIELD>; file: [holdfast] <field>."""

    entity: str = "local"
    """Entity (tenant) of artifacts and runs that name none."""
    project: str = "uncategorized"
    """Project of artifacts and runs that name none."""
    comet_project: str = ""
    """Project of each entity that holds the artifacts of `holdfast.comet`, which knows workspaces and no projects of artifacts; empty:
    `project`."""
    artifact_dir: str = "./artifacts"
    """Folder below which downloads go when no root is given."""
    app_url: str = ""
    """Address of the web pages that show versions and runs, for `Artifact.url` and `Run.url`; empty: they are holdfast://…."""
    start_timeout_s: float = 30.0
    """Seconds that a daemon may take to start, or to end when it is being replaced."""
    traces_url: str = ""
    """Address that traces are sent to by OTLP over HTTP, e.g. http://127.0.0.1:4318/v1/traces; empty: a program that has set up
    OpenTelemetry itself gets ours with its own, any other none.  Needs the extra `otel`."""
    progress: bool = True
    """Whether `wait()` shows a progress bar when standard error is a terminal, and long downloads in Comet's vocabulary tell how far
    they are."""


RUN_VARIABLES = tuple(
    f"HOLDFAST_{name}"
    for name in ("MODE", "RUN_ID", "RUN_GROUP", "JOB_TYPE", "NAME", "TAGS", "NOTES", "DIR", "PRIORITY")
)
"""Read by each `init`; they belong to one run, so they are no settings."""

_SHARED_VARIABLES = ("ENTITY", "PROJECT", "ARTIFACT_DIR")
"""Settings whose WANDB_<NAME> means the same."""


def variable(name: str, environ: Mapping[str, str]) -> str | None:
    """Returns HOLDFAST_<name>, else WANDB_<name>; None when neither is set to something."""
    return environ.get(f"HOLDFAST_{name}") or environ.get(f"WANDB_{name}") or None


def load_sdk_settings(environ: Mapping[str, str]) -> SdkSettings:
    """Reads the settings, and warns of HOLDFAST_* names that mean nothing.

    WANDB_ENTITY, WANDB_PROJECT and WANDB_ARTIFACT_DIR stand in for ours that are not set.

    Raises:
        SettingError: a value cannot be understood.
    """
    known = [environment_name(SECTION, field.name) for field in dataclasses.fields(SdkSettings)]
    known += RUN_VARIABLES
    unknown = [name for name in unknown_variables(environ, known) if not name.startswith(_OTHER_PROCESSES)]
    if unknown:
        warn_user(
            f"Nothing reads {', '.join(unknown)} from the environment; `holdfast config` lists what can be set.",
        )
    return load_settings(SdkSettings, SECTION, with_stand_ins(environ))


def with_stand_ins(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment with those of our variables that are not set and whose WANDB_<NAME> is."""
    found = {f"HOLDFAST_{name}": variable(name, environ) for name in _SHARED_VARIABLES}
    return {**environ, **{name: value for name, value in found.items() if value is not None}}
