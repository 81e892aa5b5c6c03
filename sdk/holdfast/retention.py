"""Policies of retention: which versions of a collection are kept, and what goes by itself."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from holdfast._comm_errors import normalize_exceptions
from holdfast._process import this_process
from holdfast._registry_calls import new_request_id
from holdfast_contract.limits import COMMIT_DEADLINE_S
from holdfastpb.registry.v1 import admin_pb2

_ADMIN = "/holdfast.registry.v1.AdminService/"
_SOURCES = {admin_pb2.RETENTION_SOURCE_COLLECTION: "collection", admin_pb2.RETENTION_SOURCE_PROJECT: "project"}
_REASONS = {
    admin_pb2.RETENTION_REASON_AGE: "age",
    admin_pb2.RETENTION_REASON_KEEP_LAST: "keep_last",
    admin_pb2.RETENTION_REASON_MAX_BYTES: "max_bytes",
}


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """What is kept and what goes.

    Whatever one of the `keep_` rules keeps stays, as do the newest version, versions that are linked or have a protected alias, and
    those whose own ttl is None.  Of the others those go that are older than `delete_older_than`, and the oldest until the collection
    fits into `max_bytes`; with neither of these two limits, all.  A policy without `keep_last`, `max_bytes` and `delete_older_than`
    must be empty, and keeps everything.
    """

    keep_last: int | None = None
    """The newest versions."""
    keep_aliased: bool = True
    """Versions with an alias besides `latest`."""
    keep_tagged: bool | Sequence[str] = False
    """Versions with any tag, or with one of these."""
    keep_best: str | Sequence[str] = ()
    """"metadata.KEY:max" or "metadata.KEY:min", with ":N" the N best; or several such rules."""
    max_bytes: int | None = None
    """Of all versions of the collection together, by their own sizes."""
    delete_older_than: datetime.timedelta | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as it travels: only what it says."""
        said: dict[str, Any] = {}
        if self.keep_last is not None:
            said["keep_last"] = self.keep_last
        if not self.keep_aliased:
            said["keep_aliased"] = False
        if self.keep_tagged:
            said["keep_tagged"] = True if self.keep_tagged is True else list(self.keep_tagged)
        if self.keep_best:
            said["keep_best"] = [self.keep_best] if isinstance(self.keep_best, str) else list(self.keep_best)
        if self.max_bytes is not None:
            said["max_bytes"] = self.max_bytes
        if self.delete_older_than is not None:
            said["delete_older_than_s"] = math.ceil(self.delete_older_than.total_seconds())
        return said

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> RetentionPolicy:
        """Returns the policy that a registry tells; rules of a newer one, which are not known here, are left out."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in said.items() if name in known}
        if "delete_older_than_s" in said:
            values["delete_older_than"] = datetime.timedelta(seconds=said["delete_older_than_s"])
        return cls(**values)


@dataclass(frozen=True)
class DoomedVersion:
    """A version that goes by a policy."""

    collection: str
    version: str
    """`vN`."""
    size: int
    created_at: datetime.datetime
    reason: str
    """"age", "max_bytes", or "keep_last" when no rule keeps it and there is no other limit."""


@dataclass(frozen=True)
class RetentionPreview:
    """What a policy would do now."""

    versions: tuple[DoomedVersion, ...]
    """By collection, oldest first; at most 1,000."""
    version_count: int
    kept_count: int
    freed_bytes: int
    """What the store would need less, once the versions cannot be restored any more."""


class Retention:
    """The policy of a collection, or the one that a project has for its collections."""

    def __init__(self, entity: str, project: str, collection: str = "") -> None:
        """Names it; nothing is asked yet.

        Args:
            entity: of the project.
            project: of the collection, or whose policy is meant.
            collection: empty for the project's own policy.
        """
        self._place = {"entity": entity, "project": project, "collection": collection}

    @normalize_exceptions
    def get(self) -> RetentionPolicy | None:
        """Returns the policy in force, of a collection that has none its project's; None: everything is kept."""
        policy_json = self._stored().policy_json
        return RetentionPolicy.from_dict(json.loads(policy_json)) if policy_json else None

    @normalize_exceptions
    def source(self) -> str | None:
        """Returns where the policy in force comes from: "collection" or "project"; None: there is none."""
        return _SOURCES.get(self._stored().source)

    def _stored(self) -> admin_pb2.Retention:
        request = admin_pb2.GetRetentionRequest(**self._place)
        return this_process().daemon.unary(_ADMIN + "GetRetention", request, admin_pb2.GetRetentionResponse).retention

    @normalize_exceptions
    def set(self, policy: RetentionPolicy | None) -> None:
        """Sets the policy; the registry applies it within minutes, and deletes as `Artifact.delete` does.

        Args:
            policy: None takes it back: a collection has its project's then.

        Raises:
            CommError: the policy means nothing, or this is a portfolio or registry, which holds links.
        """
        request = admin_pb2.SetRetentionRequest(
            request_id=new_request_id(), policy_json=_encoded(policy), **self._place
        )
        this_process().daemon.unary(_ADMIN + "SetRetention", request, admin_pb2.SetRetentionResponse)

    def clear(self) -> None:
        """Takes the policy back, as `set(None)`."""
        self.set(None)

    @normalize_exceptions
    def preview(self, policy: RetentionPolicy | None = None) -> RetentionPreview:
        """Returns which versions would go now, why, and what that would free; changes nothing.

        Args:
            policy: to be tried; default: the policies in force.
        """
        request = admin_pb2.PreviewRetentionRequest(policy_json=_encoded(policy), **self._place)
        found = this_process().daemon.unary(
            _ADMIN + "PreviewRetention", request, admin_pb2.PreviewRetentionResponse, deadline_s=COMMIT_DEADLINE_S
        )
        return RetentionPreview(
            tuple(map(_doomed, found.versions)), found.version_count, found.kept_count, found.freed_bytes
        )

    def __repr__(self) -> str:
        return f"<Retention {'/'.join(filter(None, self._place.values()))}>"


def _encoded(policy: RetentionPolicy | None) -> str:
    return "" if policy is None else json.dumps(policy.to_dict())


def _doomed(message: admin_pb2.DoomedVersion) -> DoomedVersion:
    return DoomedVersion(
        message.collection,
        f"v{message.version_index}",
        message.size_bytes,
        datetime.datetime.fromtimestamp(message.created_at_ms / 1000, datetime.UTC),
        _REASONS.get(message.reason, "unknown"),
    )
