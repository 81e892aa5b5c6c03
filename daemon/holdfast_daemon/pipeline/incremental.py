"""The base of an incremental job: the entries of the collection's latest version, over which those of the draft are laid.

They are kept in the journal under a number that no record has, so that a worker finds them where it finds the rest; nothing of the
version is read but its manifest.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Iterator

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.registry_client import RegistryClient, retry_delay_s
from holdfastpb.registry.v1.version_pb2 import (
    CommitVersionResponse,
    ListManifestSegmentsRequest,
    ListManifestSegmentsResponse,
)

NO_BASE = "none"
"""Stands for the latest version of a collection that has none."""
ROUNDS_MAX = 1000
"""Each further round is another writer's commit."""

Key = tuple[str, str, str]


class Place:
    """A place in the queue of those jobs that have lost against another's commit."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_held = False

    async def take(self) -> None:
        """Waits for the turn; at once when it is taken."""
        if not self._is_held:
            await self._lock.acquire()
            self._is_held = True

    def leave(self) -> None:
        """Lets the next one."""
        if self._is_held:
            self._lock.release()


class IncrementalBases:
    """Fetches bases, and lets those jobs of one daemon that compete for a collection go one after another."""

    def __init__(self, journal: Journal, registry: RegistryClient, retry_delay_max_s: float) -> None:
        self._journal = journal
        self._registry = registry
        self._retry_delay_max_s = retry_delay_max_s
        # A lock lives as long as a job has a place.
        self._locks: weakref.WeakValueDictionary[Key, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.contextmanager
    def place_of(self, job: Job) -> Iterator[Place]:
        """Holds the job's place among those of its collection, once it has taken one."""
        finalize = job.finalize
        assert finalize is not None, "only finalized jobs are committed"
        key = (finalize.entity, finalize.project, finalize.collection)
        place = Place(self._locks.setdefault(key, asyncio.Lock()))
        try:
            yield place
        finally:
            place.leave()

    async def take(self, job: Job) -> bool:
        """Brings the entries of the collection's latest version into the journal; False when that version was deleted meanwhile.

        Raises:
            HoldfastError: the registry's.
        """
        base = job.latest_version_id or NO_BASE
        if job.base_version_id == base:
            return True
        try:
            segments = await self._segments(job, base) if base != NO_BASE else []
        except HoldfastError as error:
            if error.reason != Reason.NOT_FOUND:
                raise
            return False
        job.base_version_id = ""  # whichever the journal has, should this be cut off
        await self._journal.replace_base(job.job_id, segments)
        job.base_version_id = base
        return True

    async def take_turn(self, job: Job, changed: CommitVersionResponse, place: Place) -> None:
        """Notes the version that somebody else was faster with; from now on no other job of this daemon that lost comes between."""
        job.latest_version_id, job.latest_digest = changed.latest_version_id, changed.latest_digest
        await place.take()

    async def _segments(self, job: Job, version_id: str) -> list[bytes]:
        segments: list[bytes] = []
        token, attempt = "", 0
        while True:
            request = ListManifestSegmentsRequest(version_id=version_id, page_token=token)
            try:
                page: ListManifestSegmentsResponse = await self._registry.call(
                    self._registry.versions.ListManifestSegments, request
                )
            except HoldfastError as error:
                if not error.may_pass:
                    raise
                job.wait_for_outside(f"{error.message}; tried again soon")
                attempt += 1
                await self._registry.pause(retry_delay_s(attempt, self._retry_delay_max_s))
                continue
            job.wait_for_outside("")
            segments += page.segments
            token = page.next_page_token
            if not token:
                return segments
