"""Tells before an artifact is logged that its collection holds another type, or has its number, if the registry can say so at once.

A courtesy: the commit judges for good.  So nothing here waits for a registry that is away, and the type of each collection is asked
for once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from holdfast._process import this_process
from holdfast._queries import filter_json
from holdfast.errors import Error, NotFoundError, SemanticVersionExistsError, TypeMismatchError
from holdfastpb.registry.v1 import collection_pb2, version_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

R = TypeVar("R", bound=Message)

_GET_COLLECTION = "/holdfast.registry.v1.CollectionService/GetCollection"
_LIST_VERSIONS = "/holdfast.registry.v1.VersionService/ListVersions"

DEADLINE_S = 0.25
"""Longer than any registry takes that is up, and short enough for a training step."""

PAUSE_S = 30.0
"""After a registry that did not answer in time: a loop that logs is held up once, not each time."""

KNOWN_MAX = 4_096
"""Collections that are remembered; a process that logs more of them asks again."""


class KnownTypes:
    """The types of the collections that this process has logged to.

    Shared by threads without a lock, which a fork could leave taken: at worst a collection is asked for twice.
    """

    def __init__(self, daemon: Callable[[], DaemonClient], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Makes an empty memory.

        Args:
            daemon: gives the daemon's client of this process.
            monotonic: clock.
        """
        self._daemon = daemon
        self._monotonic = monotonic
        self._types: dict[tuple[str, str, str], str] = {}
        self._asks_again_at = 0.0

    def check(self, entity: str, project: str, name: str, type: str) -> None:
        """Returns unless the registry says that the collection holds another type.

        Raises:
            TypeMismatchError: (a ValueError) it does.
        """
        key = (entity, project, name)
        if self._types.get(key) == type:
            return
        # What is remembered may be out of date, so it never refuses anybody.
        found = self._ask(*key)
        if found and found != type:
            raise TypeMismatchError(
                f"Artifact {name} already exists with type '{found}'; cannot create another with type '{type}'"
            )
        if found is not None:
            if len(self._types) >= KNOWN_MAX:
                self._types.clear()
            self._types[key] = type

    def check_number(
        self, entity: str, project: str, name: str, semantic_version: str | None, *, always_new: bool = False
    ) -> None:
        """Returns unless the registry says that another version of the collection has this number.

        Args:
            entity: of the collection.
            project: of the collection.
            name: of the collection.
            semantic_version: that is asked for; None or "": none.
            always_new: equal content makes a version, too; else the latest version may be what is wanted.

        Raises:
            SemanticVersionExistsError: (a ValueError) it does.
        """
        if not semantic_version:
            return
        request = version_pb2.ListVersionsRequest(
            entity=entity,
            project=project,
            collection=name,
            # Not by name: an alias may read like a number.
            filter_json=filter_json({"semantic_version": semantic_version}),
            page_size=1,
        )
        try:
            response = self._call(_LIST_VERSIONS, request, version_pb2.ListVersionsResponse)
        except NotFoundError:
            return
        if response is not None and any(always_new or "latest" not in one.aliases for one in response.versions):
            raise SemanticVersionExistsError(
                f"Artifact {name} has a version {semantic_version} already; give one that is free, or none to get the next one."
            )

    def _ask(self, entity: str, project: str, name: str) -> str | None:
        """Returns the collection's type, "" when there is no collection, None when nobody answers at once."""
        request = collection_pb2.GetCollectionRequest(entity=entity, project=project, name=name)
        try:
            response = self._call(_GET_COLLECTION, request, collection_pb2.GetCollectionResponse)
        except NotFoundError:
            return ""
        return None if response is None else str(response.collection.type)

    def _call(self, method: str, request: Message, response_type: type[R]) -> R | None:
        """Returns the answer; None when nobody answers at once.

        Raises:
            NotFoundError: there is no such thing.
        """
        daemon = self._daemon()
        if self._monotonic() < self._asks_again_at or not daemon.launcher.is_listening():
            return None
        try:
            return daemon.unary(method, request, response_type, deadline_s=DEADLINE_S, attempts_max=1)
        except NotFoundError:
            raise
        except (Error, OSError):
            self._asks_again_at = self._monotonic() + PAUSE_S
            return None


@cache
def known_types() -> KnownTypes:
    """Returns the memory of this process."""
    return KnownTypes(lambda: this_process().daemon)
