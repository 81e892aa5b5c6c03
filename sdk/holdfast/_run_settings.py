"""What a run begins with: the arguments of `init`, its settings object, and the environment, in this order."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast._job_calls import priority_of
from holdfast._process import this_process
from holdfast._settings import variable
from holdfast.errors import UsageError
from holdfast_contract.limits import TAGS_MAX
from holdfast_contract.names import check_entity, check_project, check_run_id
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import run_pb2

RUN_ID_CHARS = 8
RUN_TAG_CHARS_MAX = 64
"""As in W&B."""

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"

_MODES = {
    "online": "online",
    "offline": "offline",
    "disabled": "disabled",
    "shared": "online",
    # As they were called once.
    "run": "online",
    "dryrun": "offline",
}

_RESUME = ("allow", "must", "never", "auto", True, False, None)


class Settings:
    """Settings of a run, as W&B's object of this name: any names, of which `init` reads those that it knows.

    These are entity, project, mode, run_id, run_name, run_group, run_job_type, run_tags, run_notes, root_dir and, Holdfast's own,
    priority.
    """

    def __init__(self, **values: Any) -> None:
        """Makes settings of these values; those that mean nothing to Holdfast are kept and have no effect."""
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        """Names that nobody has set are None, as most are in W&B."""
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.__dict__.items())

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self)})"


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a run begins with, complete and checked."""

    record: run_pb2.Run
    mode: str
    """"online", "offline" or "disabled"."""
    directory: str
    priority: log_pb2.JobPriority = log_pb2.JOB_PRIORITY_UNSPECIFIED
    """Of what it logs."""


def start_of(arguments: Mapping[str, Any], settings: Any) -> RunStart:
    """Completes the arguments of `init`.

    Args:
        arguments: by the names of `init`; None where none was given.
        settings: a `Settings`, a mapping, any object with such attributes, or None.

    Raises:
        ValueError: a name, the id, a tag or the mode breaks its rules.
        UsageError: the priority is no word that is known.
    """
    given = _Given(arguments, settings)
    defaults = this_process().settings
    record = run_pb2.Run(
        entity=given.text("entity", "entity") or defaults.entity,
        project=given.text("project", "project") or defaults.project,
        run_id=given.text("id", "run_id", "RUN_ID") or new_run_id(),
        display_name=given.text("name", "run_name", "NAME"),
        group=given.text("group", "run_group", "RUN_GROUP"),
        job_type=given.text("job_type", "run_job_type", "JOB_TYPE"),
        tags=check_run_tags(given.tags()),
        notes=given.text("notes", "run_notes", "NOTES"),
        state="running",
        host=socket.gethostname(),
        created_at_ms=time.time_ns() // 1_000_000,
    )
    check_entity(record.entity)
    check_project(record.project)
    check_run_id(record.run_id)
    mode = given.text("mode", "mode", "MODE") or "online"
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r:.200}")
    priority = priority_of(given.text("priority", "priority", "PRIORITY"))
    return RunStart(record, _MODES[mode], given.text("dir", "root_dir", "DIR") or ".", priority)


class _Given:
    """What was given for a run, by argument, settings object or environment."""

    def __init__(self, arguments: Mapping[str, Any], settings: Any) -> None:
        self._arguments = arguments
        self._settings = settings

    def value(self, argument: str, setting: str, environment: str | None) -> Any:
        value = self._arguments.get(argument)
        if value is not None:
            return value
        if isinstance(self._settings, Mapping):
            value = self._settings.get(setting)
        elif self._settings is not None:
            value = getattr(self._settings, setting, None)
        if value is None and environment is not None:
            value = variable(environment, os.environ)
        return value

    def text(self, argument: str, setting: str, environment: str | None = None) -> str:
        value = self.value(argument, setting, environment)
        return "" if value is None else os.fspath(value) if isinstance(value, os.PathLike) else str(value)

    def tags(self) -> list[str]:
        value = self.value("tags", "run_tags", None)
        if value is None:
            return [tag.strip() for tag in (variable("TAGS", os.environ) or "").split(",") if tag.strip()]
        return [value] if isinstance(value, str) else list(value)


def check_run_tags(tags: Sequence[str]) -> list[str]:
    """Returns the tags of a run, once each, in their order.

    Raises:
        ValueError: a tag is empty or too long, or there are too many.
    """
    found = list(dict.fromkeys(tags))
    for tag in found:
        if not isinstance(tag, str) or not tag.strip() or len(tag) > RUN_TAG_CHARS_MAX:
            raise ValueError(f"A run's tag is a text of 1 to {RUN_TAG_CHARS_MAX} characters, not {tag!r:.200}")
    if len(found) > TAGS_MAX:
        raise ValueError(f"A run has at most {TAGS_MAX} tags, not {len(found)}.")
    return found


def check_resume(resume: bool | str | None) -> None:
    """Refuses what `resume` cannot be.

    Raises:
        UsageError: see the message.
    """
    if resume not in _RESUME:
        allowed = ", ".join(repr(value) for value in _RESUME)
        raise UsageError(f"resume must be one of {allowed}, not {resume!r:.200}")


def only_wanted(
    config: Mapping[str, Any], exclude: Sequence[str] | None, include: Sequence[str] | None
) -> dict[str, Any]:
    """Returns the config without the keys that are not wanted.

    Raises:
        UsageError: both lists were given.
    """
    if exclude and include:
        raise UsageError("Expected at most only one of config_exclude_keys or config_include_keys")
    if include:
        return {key: value for key, value in config.items() if key in include}
    return {key: value for key, value in config.items() if key not in (exclude or ())}


def new_run_id() -> str:
    """Returns a fresh id: 8 characters of base 36."""
    return random_id(RUN_ID_CHARS)


def random_id(length: int) -> str:
    """Returns characters of base 36, from the kernel's randomness, since forked children share `random`'s."""
    # 8 bits a character and 8 bytes more: the last remainders are as even as the first ones.
    number = int.from_bytes(os.urandom(length + 8), "big")
    characters = []
    for _ in range(length):
        number, digit = divmod(number, len(_BASE36))
        characters.append(_BASE36[digit])
    return "".join(characters)
