"""Remembers versions that the registry told of, so that reading one again, or one that is pinned by its digest, asks nobody.

What a version holds never changes; whether it still exists, its aliases and its other attributes may.  An answer counts for ten
minutes: so long a version that was deleted elsewhere may still be read here.  Changes that go through this daemon count at once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast_contract.limits import MIB
from holdfastpb.registry.v1.version_pb2 import (
    CommitVersionResponse,
    FinishDistributedResponse,
    ResolveVersionRequest,
    Version,
    VersionState,
)

FRESH_MS = 10 * 60 * 1000
"""How long an answer of the registry counts; see above."""
VERSIONS_BYTES_MAX = 8 * MIB
"""Of encoded versions in memory: some 8,000 of usual ones, and a few of those with 1 MiB of metadata."""
OVERHEAD_BYTES = 500
"""Of an encoded version in memory, beside its bytes."""
DIGEST_CHARS = 64

Pin = tuple[str, str, str, str]
"""Entity, project, collection, digest: what somebody asked for."""


class PinnedVersions(Protocol):
    """Where answers about pinned versions outlive the daemon."""

    async def load_version(self, pin: Pin) -> tuple[bytes, int] | None:
        """Returns (Version, when in ms)."""

    async def store_version(self, pin: Pin, version_id: str, version: bytes, seen_at_ms: int) -> None:
        """Keeps an answer."""

    async def load_pins(self) -> "dict[Pin, str]":
        """Returns all pins that are kept, with the ids of their versions."""

    async def forget_pins(self, pins: "list[Pin]") -> None:
        """Drops the answers to these."""

    async def load_manifest(self, version_id: str) -> bytes | None:
        """Returns a manifest that was kept."""

    async def store_manifest(self, version_id: str, segments: bytes) -> None:
        """Keeps a whole small manifest."""


@dataclass(frozen=True, slots=True)
class _Seen:
    version: Version
    seen_at_ms: int
    size_bytes: int


class KnownVersions:
    """Versions by id, and by digest where they were asked for so.  For the event loop's thread.

    Args:
        store: keeps pinned versions over restarts; None: they are kept in memory only.
        clock_ms: wall clock.
    """

    def __init__(
        self, store: PinnedVersions | None = None, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._seen: OrderedDict[str | Pin, _Seen] = OrderedDict()
        self._bytes = 0
        self._stored: dict[Pin, str] = {}
        self._generation = 0
        self._writes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Reads what was pinned before."""
        if self._store is not None:
            self._stored = await self._store.load_pins()

    @property
    def generation(self) -> int:
        """Changes when something is forgotten: what was asked for before may be out of date."""
        return self._generation

    def get(self, version_id: str) -> Version | None:
        """The version, if the registry told of it not long ago."""
        return self._fresh(version_id)

    async def resolve(self, request: ResolveVersionRequest) -> Version | None:
        """The version of a full digest, if it is known; None for everything else."""
        pin = _pin_of(request)
        if pin is None:
            return None
        known = self._fresh(pin)
        if known is not None or self._store is None or pin not in self._stored:
            return known
        generation = self._generation
        kept = await self._store.load_version(pin)
        if kept is None or generation != self._generation:
            return None  # gone, or changed while it was being read
        version = Version.FromString(kept[0])
        for key in (pin, version.version_id):
            self._remember(key, version, kept[1])
        return self._fresh(pin)

    def learn(self, version: Version, generation: int, request: ResolveVersionRequest | None = None) -> None:
        """Takes note of an answer of the registry.

        Args:
            version: the answer.
            generation: when it was asked for.
            request: says that it was asked for by name.
        """
        if version.state != VersionState.VERSION_STATE_COMMITTED:
            self.forget(version.version_id)
            return
        if generation != self._generation:
            return  # a change may have overtaken it
        now_ms = self._clock_ms()
        self._remember(version.version_id, version, now_ms)
        pin = None if request is None else _pin_of(request)
        if pin is None or version.digest != pin[3]:
            return
        self._remember(pin, version, now_ms)
        if self._store is not None:
            self._stored[pin] = version.version_id
            self._write(self._store.store_version(pin, version.version_id, version.SerializeToString(), now_ms))

    def is_pinned(self, version_id: str) -> bool:
        """Whether somebody has asked for this version by its digest."""
        return version_id in self._stored.values()

    async def load_manifest(self, version_id: str) -> bytes | None:
        """The manifest of a pinned version, if it was kept."""
        if self._store is None or not self.is_pinned(version_id):
            return None
        return await self._store.load_manifest(version_id)

    def keep_manifest(self, version_id: str, segments: bytes) -> None:
        """Keeps the whole, small manifest of a pinned version."""
        if self._store is not None:
            self._write(self._store.store_manifest(version_id, segments))

    def forget(self, version_id: str) -> None:
        """Takes note that a version was changed or deleted."""
        pins = [pin for pin, pinned_id in self._stored.items() if pinned_id == version_id]
        self._forget([*pins, *(key for key, seen in self._seen.items() if seen.version.version_id == version_id)])

    def forget_all(self) -> None:
        """Takes note that any version may have changed: names and places of collections, links."""
        self._forget([*self._seen, *self._stored])

    def take_note(self, answer: Any) -> None:
        """Looks at an answer to the daemon itself: a commit moves aliases away from other versions of its collection."""
        if isinstance(answer, CommitVersionResponse | FinishDistributedResponse) and answer.HasField("version"):
            committed = answer.version
            place = (committed.entity, committed.project, committed.collection)
            pins = [pin for pin in self._stored if pin[:3] == place]
            self._forget([*pins, *(key for key, seen in self._seen.items() if _place_of(seen.version) == place)])

    def _forget(self, keys: "list[str | Pin]") -> None:
        self._generation += 1
        for key in keys:
            self._drop(key)
        pins = [key for key in keys if isinstance(key, tuple) and self._stored.pop(key, None) is not None]
        if pins and self._store is not None:
            self._write(self._store.forget_pins(pins))

    def _fresh(self, key: "str | Pin") -> Version | None:
        seen = self._seen.get(key)
        if seen is None:
            return None
        now_ms = self._clock_ms()
        expires_at_ms = seen.version.expires_at_ms
        if not 0 <= now_ms - seen.seen_at_ms <= FRESH_MS or (expires_at_ms and expires_at_ms <= now_ms):
            self._drop(key)
            return None
        self._seen.move_to_end(key)
        return seen.version

    def _remember(self, key: "str | Pin", version: Version, seen_at_ms: int) -> None:
        self._drop(key)
        seen = _Seen(version, seen_at_ms, version.ByteSize() + OVERHEAD_BYTES)
        self._seen[key] = seen
        self._bytes += seen.size_bytes
        while self._bytes > VERSIONS_BYTES_MAX and len(self._seen) > 1:
            self._drop(next(iter(self._seen)))

    def _drop(self, key: "str | Pin") -> None:
        seen = self._seen.pop(key, None)
        if seen is not None:
            self._bytes -= seen.size_bytes

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets a write happen by itself: nobody waits, the journal keeps their order, and losing one costs a request."""
        task = asyncio.create_task(work)
        self._writes.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: "asyncio.Task[None]") -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # a full disk: what could not be kept will be asked for


def _place_of(version: Version) -> tuple[str, str, str]:
    return version.entity, version.project, version.collection


def _pin_of(request: ResolveVersionRequest) -> Pin | None:
    alias = request.alias
    if len(alias) != DIGEST_CHARS or not set(alias) <= set("0123456789abcdef"):
        return None
    return request.entity, request.project, request.collection, alias
