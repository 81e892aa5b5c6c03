"""A thin client of the daemon for tests that want control: what is sent when, sent again, taken up by the next daemon.

Everything happens in the caller's thread: requests go into a queue that gRPC empties, responses are read when something is waited for.
"""

import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_contract.places import Places
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.bundle_pb2_grpc import BundleServiceStub
from holdfastpb.daemon.v1.control_pb2 import SyncRequest
from holdfastpb.daemon.v1.control_pb2_grpc import ControlServiceStub
from holdfastpb.daemon.v1.fetch_pb2_grpc import FetchServiceStub
from holdfastpb.daemon.v1.log_pb2 import (
    AddBytes,
    AddFile,
    AddTree,
    Finalize,
    LogArtifactRequest,
    LogArtifactResponse,
    Open,
    Opened,
    Record,
    RecordBatch,
    WaitArtifactRequest,
    WaitArtifactResponse,
)
from holdfastpb.daemon.v1.log_pb2_grpc import LogServiceStub
from holdfastpb.registry.v1.version_pb2 import ListManifestSegmentsRequest, ListVersionsRequest, Version
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceStub

WAIT_TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = 30.0
RETRY_S = 0.05
ENTITY, PROJECT, TYPE = "local", "crash", "dataset"


def file_record(local_path: Path, path: str, *, mutable: bool = False) -> Record:
    return Record(add_file=AddFile(local_path=str(local_path).encode(), path=path, mutable=mutable))


def tree_record(local_path: Path, prefix: str = "", *, mutable: bool = False) -> Record:
    return Record(add_tree=AddTree(local_path=str(local_path).encode(), prefix=prefix, mutable=mutable))


def bytes_record(path: str, data: bytes) -> Record:
    return Record(add_bytes=AddBytes(path=path, data=data))


class LogClient:
    """One connection to one daemon; make a new one for the next daemon."""

    def __init__(self, places: Places) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES]
        self._channel = grpc.insecure_channel(f"unix:{places.daemon_socket}", options)
        self.metadata = (("authorization", f"Bearer {places.daemon_token.read_text()}"),)
        self.log: Any = LogServiceStub(self._channel)
        self.control: Any = ControlServiceStub(self._channel)
        self.bundles: Any = BundleServiceStub(self._channel)
        self.fetch: Any = FetchServiceStub(self._channel)
        self.versions: Any = VersionServiceStub(self._channel)

    def __enter__(self) -> "LogClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: Any, request: Any) -> Any:
        return method(request, metadata=self.metadata, timeout=WAIT_TIMEOUT_S)

    def patiently(self, method: Any, request: Any) -> Any:
        """A call that goes through to the registry, repeated until that can be reached."""
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while True:
            try:
                return self.call(method, request)
            except grpc.RpcError as error:
                away = error.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
                if not away or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

    def wait(self, job_id: str) -> WaitArtifactResponse:
        """The end of a job."""
        return list(self.call(self.log.WaitArtifact, WaitArtifactRequest(job_id=job_id)))[-1]

    def progress(self, job_id: str) -> Iterator[WaitArtifactResponse]:
        """A job's progress as it comes."""
        yield from self.call(self.log.WaitArtifact, WaitArtifactRequest(job_id=job_id))

    def sync(self, *job_ids: str) -> list[str]:
        """Lets held jobs go; returns those that are on their way."""
        return list(self.call(self.control.Sync, SyncRequest(job_ids=job_ids)).job_ids)

    def until_resting(self, job_id: str) -> WaitArtifactResponse:
        """Returns what a held job says of itself when nothing happens any more before a Sync."""
        return next(r for r in self.progress(job_id) if r.progress.waiting_for.startswith("offline"))

    def list_versions(self, collection: str) -> list[Version]:
        """All committed versions of a collection, oldest first."""
        found: list[Version] = []
        token = ""
        while True:
            request = ListVersionsRequest(
                entity=ENTITY, project=PROJECT, collection=collection, page_token=token, oldest_first=True
            )
            page = self.patiently(self.versions.ListVersions, request)
            found.extend(page.versions)
            token = page.next_page_token
            if not token:
                return found

    def entries(self, version_id: str) -> dict[str, bytes]:
        """Path → digest of a version's files."""
        found: dict[str, bytes] = {}
        token = ""
        while True:
            request = ListManifestSegmentsRequest(version_id=version_id, page_token=token)
            page = self.patiently(self.versions.ListManifestSegments, request)
            for encoded in page.segments:
                segment = ManifestSegment.FromString(encoded)
                for at, path in enumerate(segment.paths):
                    found[path] = segment.digests[32 * at : 32 * at + 32]
            token = page.next_page_token
            if not token:
                return found


class LogSession:
    """One artifact on its way.  It outlives daemons: `attach` it to the client of the next one."""

    def __init__(self, collection: str, *, client_id: str = "test", hold: bool = False) -> None:
        self.hold = hold
        self.session_id = uuid.uuid4().hex
        self.collection = collection
        self.client_id = client_id
        self.records: list[Record] = []
        self.acked_seq = 0
        self.ingested_seq = 0
        self.finalized = False
        self.failures: dict[int, str] = {}
        self._requests: queue.Queue[LogArtifactRequest | None] = queue.Queue()
        self._responses: Iterator[LogArtifactResponse] = iter(())

    def attach(self, client: LogClient) -> Opened:
        """Opens the session at a daemon, or resumes it; sends what the daemon does not have."""
        self.detach()
        self._requests = queue.Queue()
        requests = iter(self._requests.get, None)
        self._responses = client.log.LogArtifact(requests, metadata=client.metadata, timeout=STREAM_TIMEOUT_S)
        opened = Open(
            session_id=self.session_id,
            client_id=self.client_id,
            artifact_name=self.collection,
            artifact_type=TYPE,
            entity=ENTITY,
            project=PROJECT,
            hold=self.hold,
        )
        self._requests.put(LogArtifactRequest(open=opened))
        answer = next(self._responses).opened
        # What was acknowledged once must never be taken back.
        assert answer.acked_seq >= self.acked_seq, "the daemon has lost acknowledged records"
        assert answer.ingested_seq >= self.ingested_seq, "the daemon has lost bytes that it said were read"
        assert answer.finalized or not self.finalized, "the daemon has lost an acknowledged Finalize"
        self.acked_seq, self.ingested_seq, self.finalized = answer.acked_seq, answer.ingested_seq, answer.finalized
        if answer.acked_seq < len(self.records):
            self._send(answer.acked_seq + 1, self.records[answer.acked_seq :])
        return answer

    def send(self, records: Sequence[Record]) -> None:
        """Sends a batch of new records; returns at once."""
        first_seq = len(self.records) + 1
        self.records.extend(records)
        self._send(first_seq, records)

    def _send(self, first_seq: int, records: Sequence[Record]) -> None:
        batch = RecordBatch(first_seq=first_seq, records=records)
        self._requests.put(LogArtifactRequest(batch=batch))

    def until_ingested(self) -> None:
        """Returns when everything sent has been read.

        Raises:
            grpc.RpcError: the daemon has died.
        """
        while self.ingested_seq < len(self.records):
            self._take(next(self._responses))

    def finalize(self, *aliases: str, entity: str = ENTITY, hold: bool | None = None) -> None:
        """Ends the session; returns when the daemon owns the job.

        Raises:
            grpc.RpcError: the daemon has died.
        """
        finalize = Finalize(
            entity=entity,
            project=PROJECT,
            collection=self.collection,
            type=TYPE,
            aliases=aliases,
            last_seq=len(self.records),
            hold=self.hold if hold is None else hold,
        )
        self._requests.put(LogArtifactRequest(finalize=finalize))
        while not self.finalized:
            self._take(next(self._responses))
        self.detach()

    def detach(self) -> None:
        """Ends the stream; the session stays."""
        self._requests.put(None)

    def _take(self, response: LogArtifactResponse) -> None:
        kind = response.WhichOneof("what")
        if kind == "acked_seq":
            self.acked_seq = response.acked_seq
        elif kind == "ingested_seq":
            self.ingested_seq = response.ingested_seq
        elif kind == "record_failed":
            self.failures[response.record_failed.seq] = response.record_failed.error.message
        elif kind == "finalized":
            self.finalized = True
