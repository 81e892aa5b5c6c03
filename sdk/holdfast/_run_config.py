"""A run's configuration: a dict whose keys are attributes, whose values may stand for artifacts, and which always travels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast.errors import ConfigError
from holdfast_contract.limits import METADATA_BYTES_MAX, METADATA_DEPTH_MAX

_ARTIFACT_URI = re.compile(r"(?:wandb|holdfast)-artifact://(?:https?://[^/]+/)?(?P<name>.+)", re.DOTALL)
"""What stands for an artifact in a text, as W&B writes it; the address of a server in it means nothing here."""

_BY_ID = "_id/"

Resolve = Callable[["ArtifactValue"], Artifact | None]
"""Finds the artifact of a value, and records its use; None when the run cannot use artifacts."""


class ArtifactValue:
    """A value of a config that stands for an artifact: exactly one of the three is set."""

    def __init__(self, *, artifact: Artifact | None = None, name: str = "", version_id: str = "") -> None:
        """Makes the value."""
        self.artifact = artifact
        self.name = name
        self.version_id = version_id


def artifact_value(value: object) -> ArtifactValue | None:
    """Returns the artifact that a value stands for; None for all other values."""
    if isinstance(value, Artifact):
        return ArtifactValue(artifact=value)
    if isinstance(value, Mapping):
        if value.get("_type") == "artifactVersion" and isinstance(value.get("id"), str):
            return ArtifactValue(version_id=value["id"])
        return None
    match = _ARTIFACT_URI.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    name = match["name"]
    return ArtifactValue(version_id=name.removeprefix(_BY_ID)) if name.startswith(_BY_ID) else ArtifactValue(name=name)


class Config(MutableMapping[str, Any]):
    """A run's configuration.

    A value that stands for an artifact (an artifact, `wandb-artifact://…`, `holdfast-artifact://…`, or what
    `Artifact.json_encode` has made) is read as that artifact, which the run then uses.
    """

    def __init__(self, values: Mapping[str, Any] | None = None, resolve: Resolve | None = None) -> None:
        """Makes a configuration with these values."""
        object.__setattr__(self, "_values", dict(values or {}))
        object.__setattr__(self, "_resolved", {})
        object.__setattr__(self, "_resolve", resolve)

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        found = self._resolved.get(key)
        if found is not None:
            return found
        standing_for = artifact_value(value) if self._resolve is not None else None
        if standing_for is not None:
            artifact = self._resolve(standing_for)
            if artifact is not None:
                self._resolved[key] = artifact
                return artifact
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._resolved.pop(key, None)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._resolved.pop(key, None)
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        # Not by reading: that would fetch artifacts.
        return key in self._values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"config has no key {name!r}")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._values:
            raise AttributeError(f"config has no key {name!r}")
        del self[name]

    def update(self, d: Any = (), /, allow_val_change: bool | None = None, **more: Any) -> None:
        """Sets several values.

        Args:
            d: a mapping, pairs, or an object whose attributes are the values.
            allow_val_change: False refuses to change a value that is there.
            more: further values.

        Raises:
            ConfigError: `allow_val_change=False`, and a value would change; nothing was set.
        """
        values = {**(dict(d) if isinstance(d, list | tuple) else values_of(d)), **more}
        if allow_val_change is False:
            for key, value in values.items():
                if key in self._values and self._values[key] != value:
                    raise ConfigError(
                        f'Attempted to change value of key "{key}" from {self._values[key]!r:.200} to {value!r:.200}.'
                        " If you really want to do this, pass allow_val_change=True to config.update()"
                    )
        for key, value in values.items():
            self[key] = value

    def setdefaults(self, d: Mapping[str, Any]) -> None:
        """Sets the values whose keys are not there yet."""
        for key, value in values_of(d).items():
            if key not in self._values:
                self[key] = value

    def persist(self) -> None:
        """Does nothing: what a run logs carries its configuration along."""

    def as_dict(self) -> dict[str, Any]:
        """Returns a copy as a plain dict; artifacts that were read are in it, others are as they were set."""
        return {**self._values, **self._resolved}

    def encoded(self) -> bytes:
        """Returns the configuration as it travels: JSON, in which every value has some form."""
        return encode_config(self.as_dict())

    def __reduce__(self) -> tuple[type[Config], tuple[dict[str, Any]]]:
        """A copy has the values; what stands for artifacts in it stays as it is."""
        return Config, (self.as_dict(),)

    def __repr__(self) -> str:
        return repr(self.as_dict())


def values_of(config: Mapping[str, Any] | Any | None) -> dict[str, Any]:
    """Returns what is given as a configuration as a dict.

    Raises:
        TypeError: neither a mapping nor an object with attributes.
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return dict(config)
    try:
        return dict(vars(config))  # such as argparse's
    except TypeError:
        raise TypeError(f"config must be a dict or have attributes, not {type(config).__name__}") from None


def encode_config(values: Mapping[str, Any]) -> bytes:
    """Returns JSON of any values: what it cannot say becomes text, since nothing that is logged may fail on a run's config."""
    try:
        encoded = json.dumps(_plain(values, 0), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        encoded = b""
    if not encoded or len(encoded) > METADATA_BYTES_MAX:
        warn_user(
            f"The run's config is not recorded: it is larger than {METADATA_BYTES_MAX} bytes or contains itself; log a file.",
        )
        return b"{}"
    return encoded


def decode_config(encoded: bytes) -> dict[str, Any]:
    """Returns a configuration that has travelled; no bytes mean {}."""
    values: dict[str, Any] = json.loads(encoded or b"{}")
    return values


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | str):
        return value if not isinstance(value, str) else value.encode("utf-8", "replace").decode()
    if isinstance(value, int | float):
        return _plain_number(value)
    if isinstance(value, Artifact):
        return value.json_encode() if value.is_logged else value.name
    if depth >= METADATA_DEPTH_MAX:
        return f"{value!r:.200}"
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    to_list = getattr(value, "tolist", None)  # numpy's arrays and numbers, tensors
    if callable(to_list) and not isinstance(value, type):
        return _plain(to_list(), METADATA_DEPTH_MAX if type(to_list()) is type(value) else depth + 1)
    return str(value)


def _plain_number(value: float) -> int | float | str | None:
    if isinstance(value, int):
        return int(value)
    if value != value:
        return None
    return str(float(value)) if value in (float("inf"), float("-inf")) else float(value)
