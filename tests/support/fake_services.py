"""The fake daemon's servicers: the protos' promises over `FakeState`, with the faults that a test has asked for."""

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from holdfast_contract.limits import MESSAGE_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN, RECORDS_BATCH_MAX
from holdfast_contract.reasons import REASONS, Reason
from holdfastpb.common.v1 import hello_pb2
from holdfastpb.daemon.v1 import control_pb2, control_pb2_grpc, fetch_pb2, fetch_pb2_grpc, log_pb2, log_pb2_grpc
from holdfastpb.registry.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    run_pb2,
    run_pb2_grpc,
    version_pb2,
    version_pb2_grpc,
)
from support.fake_state import FakeEntry, FakeSession, FakeState, Refusal, artifact_digest, encode_segments


@dataclass
class Faults:
    """What goes wrong; set by a test, also while the daemon runs."""

    drop_stream_after_records: int | None = None
    """Break the log stream once so many records were received and not acknowledged; each stream anew until it is None."""
    draining: bool = False
    protocol: int = PROTOCOL_MAX
    refusals: defaultdict[str, list[Refusal]] = field(default_factory=lambda: defaultdict(list))
    """Method -> what its next calls are answered with."""
    answers: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Method -> the responses of its next calls, instead of what the fake would say itself."""
    may_ack: threading.Event = field(default_factory=threading.Event)
    may_ingest: threading.Event = field(default_factory=threading.Event)
    may_finalize: threading.Event = field(default_factory=threading.Event)
    may_commit: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for gate in (self.may_ack, self.may_ingest, self.may_finalize, self.may_commit):
            gate.set()

    def release(self) -> None:
        self.__post_init__()


@dataclass
class Calls:
    """What was asked of the daemon."""

    methods: list[str] = field(default_factory=list)
    requests: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Method -> the requests of its calls; of calls with one request only."""
    batches: list[int] = field(default_factory=list)
    streams_opened: int = 0
    client_ids: set[str] = field(default_factory=set)
    downloads: list[fetch_pb2.DownloadRequest] = field(default_factory=list)


class Services(
    control_pb2_grpc.ControlServiceServicer,
    log_pb2_grpc.LogServiceServicer,
    fetch_pb2_grpc.FetchServiceServicer,
    version_pb2_grpc.VersionServiceServicer,
    collection_pb2_grpc.CollectionServiceServicer,
    run_pb2_grpc.RunServiceServicer,
):
    """All services of the daemon's socket."""

    def __init__(self, state: FakeState, faults: Faults, calls: Calls, instance_id: str) -> None:
        self.state = state
        self.faults = faults
        self.calls = calls
        self.instance_id = instance_id

    def add_to(self, server: grpc.Server) -> None:
        control_pb2_grpc.add_ControlServiceServicer_to_server(self, server)
        log_pb2_grpc.add_LogServiceServicer_to_server(self, server)
        fetch_pb2_grpc.add_FetchServiceServicer_to_server(self, server)
        version_pb2_grpc.add_VersionServiceServicer_to_server(self, server)
        collection_pb2_grpc.add_CollectionServiceServicer_to_server(self, server)
        run_pb2_grpc.add_RunServiceServicer_to_server(self, server)

    # --- ControlService -----------------------------------------------------------------------------------------------

    def Hello(self, request: hello_pb2.HelloRequest, context: Any) -> hello_pb2.HelloResponse:
        return hello_pb2.HelloResponse(
            protocol=self.faults.protocol,
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            software_version="fake",
            instance_id=self.instance_id,
            limits=hello_pb2.Limits(message_bytes_max=MESSAGE_BYTES_MAX, records_batch_max=RECORDS_BATCH_MAX),
        )

    def GetStatus(self, request: Any, context: Any) -> control_pb2.GetStatusResponse:
        return control_pb2.GetStatusResponse(pid=os.getpid(), software_version="fake", registry="embedded")

    def ListJobs(self, request: Any, context: Any) -> control_pb2.ListJobsResponse:
        jobs = [
            control_pb2.Job(progress=_progress(session), qualified_name=_qualified_name(session))
            for session in reversed(self.state.sessions.values())
            if not (request.active_only and session.version is not None)
        ]
        return control_pb2.ListJobsResponse(jobs=jobs)

    def Drain(self, request: Any, context: Any) -> control_pb2.DrainResponse:
        self.faults.draining = True
        return control_pb2.DrainResponse()

    def TrimCache(self, request: Any, context: Any) -> control_pb2.TrimCacheResponse:
        return control_pb2.TrimCacheResponse(freed_bytes=0, cache_bytes=0)

    # --- LogService ---------------------------------------------------------------------------------------------------

    def LogArtifact(
        self, requests: Iterator[log_pb2.LogArtifactRequest], context: Any
    ) -> Iterator[log_pb2.LogArtifactResponse]:
        self.calls.streams_opened += 1
        opening = next(requests).open
        self.calls.client_ids.add(opening.client_id)
        with self.state.lock:
            session = self.state.sessions.setdefault(opening.session_id, FakeSession(opening))
            seq = session.last_seq
            opened = log_pb2.Opened(acked_seq=seq, ingested_seq=seq, finalized=session.finalize is not None)
        yield log_pb2.LogArtifactResponse(opened=opened)
        received = 0
        for request in requests:
            if request.HasField("finalize"):
                yield from self._finalize(session, request.finalize)
                continue
            received += len(request.batch.records)
            self.calls.batches.append(len(request.batch.records))
            limit = self.faults.drop_stream_after_records
            if limit is not None and received >= limit:
                self.faults.drop_stream_after_records = None
                context.abort(grpc.StatusCode.UNAVAILABLE, "the fake daemon dropped the stream")
            yield from self._take_batch(session, request.batch)

    def _take_batch(self, session: FakeSession, batch: log_pb2.RecordBatch) -> Iterator[log_pb2.LogArtifactResponse]:
        self.faults.may_ack.wait()
        with self.state.lock:
            assert batch.first_seq <= session.last_seq + 1, f"a gap before record {batch.first_seq}"
            for record in batch.records[session.last_seq + 1 - batch.first_seq :]:
                self.state.add_record(session, record)
            last_seq = session.last_seq
        yield log_pb2.LogArtifactResponse(acked_seq=last_seq)
        self.faults.may_ingest.wait()
        for seq in range(batch.first_seq, last_seq + 1):
            if seq in session.failures:
                failed = log_pb2.RecordFailed(seq=seq, error=session.failures[seq])
                yield log_pb2.LogArtifactResponse(record_failed=failed)
        yield log_pb2.LogArtifactResponse(ingested_seq=last_seq)

    def _finalize(self, session: FakeSession, finalize: log_pb2.Finalize) -> Iterator[log_pb2.LogArtifactResponse]:
        self.faults.may_finalize.wait()
        with self.state.lock:
            assert finalize.last_seq == session.last_seq, "finalized with records missing"
            session.finalize = session.finalize or finalize
        yield log_pb2.LogArtifactResponse(finalized=log_pb2.Finalized(job_id=session.opening.session_id))

    def WaitArtifact(self, request: Any, context: Any) -> Iterator[log_pb2.WaitArtifactResponse]:
        session = self._session(request.job_id)
        if session.version is None:
            yield log_pb2.WaitArtifactResponse(progress=_progress(session))
        while not self.faults.may_commit.wait(0.05):
            if not context.is_active():
                return
        if session.finalize is not None and session.finalize.hold:
            yield log_pb2.WaitArtifactResponse(progress=_progress(session), held=True)
            return
        with self.state.lock:
            self.state.commit(session)
        response = log_pb2.WaitArtifactResponse(progress=_progress(session), created=session.created)
        if session.error is not None:
            response.error.CopyFrom(session.error)
        else:
            response.version.CopyFrom(session.version)
        yield response

    def CancelArtifact(self, request: Any, context: Any) -> log_pb2.CancelArtifactResponse:
        session = self._session(request.job_id)
        session.cancelled = session.version is None
        return log_pb2.CancelArtifactResponse(cancelled=session.cancelled)

    def ListDraftEntries(self, request: Any, context: Any) -> log_pb2.ListDraftEntriesResponse:
        session = self._session(request.session_id)
        if session.failures:
            failed = session.failures[min(session.failures)]
            raise Refusal(Reason(failed.reason), failed.message, **failed.metadata)
        page = _page(encode_segments(session.entries), request.page_token)
        return log_pb2.ListDraftEntriesResponse(
            segments=page[0],
            next_page_token=page[1],
            entry_count=len(session.entries),
            size_bytes=sum(entry.size for entry in session.entries.values()),
            digest=artifact_digest(session.entries),
        )

    def _session(self, session_id: str) -> FakeSession:
        session = self.state.sessions.get(session_id)
        if session is None:
            raise Refusal(Reason.NOT_FOUND, f"There is no job {session_id}")
        return session

    # --- FetchService -------------------------------------------------------------------------------------------------

    def Download(self, request: fetch_pb2.DownloadRequest, context: Any) -> Iterator[fetch_pb2.DownloadResponse]:
        self.calls.downloads.append(request)
        entries = self._entries(request.version_id)
        root = os.fsdecode(request.root)
        if request.exact and os.path.isdir(root):
            shutil.rmtree(root)
        wanted = {
            path: entry
            for path, entry in entries.items()
            if path.startswith(request.path_prefix) and (not request.paths or path in request.paths)
        }
        yield fetch_pb2.DownloadResponse(entries_total=len(wanted))
        os.makedirs(root, exist_ok=True)
        unresolved = [path for path, entry in wanted.items() if not _put_file(root, path, entry)]
        yield fetch_pb2.DownloadResponse(
            entries_total=len(wanted), entries_done=len(wanted), done=True, unresolved_references=unresolved
        )

    def Verify(self, request: fetch_pb2.VerifyRequest, context: Any) -> Iterator[fetch_pb2.VerifyResponse]:
        entries = self._entries(request.version_id)
        root = os.fsdecode(request.root)
        files = {path: entry for path, entry in entries.items() if not entry.is_reference}
        found = {
            os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names
        }
        damaged = [path for path in sorted(found & files.keys()) if _read(root, path) != files[path].data]
        yield fetch_pb2.VerifyResponse(
            done=True,
            missing_paths=sorted(files.keys() - found),
            damaged_paths=damaged,
            extra_paths=sorted(found - entries.keys()),
            references_skipped=len(entries) - len(files),
        )

    def ReadEntry(self, request: fetch_pb2.ReadEntryRequest, context: Any) -> Iterator[fetch_pb2.ReadEntryResponse]:
        data = self._entries(request.version_id)[request.path].data or b""
        end = request.offset + request.length if request.length else len(data)
        yield fetch_pb2.ReadEntryResponse(data=data[request.offset : end])

    def _entries(self, version_id: str) -> dict[str, FakeEntry]:
        self.state.version(version_id)
        return self.state.manifests[version_id]

    # --- VersionService, CollectionService ----------------------------------------------------------------------------

    def GetVersion(self, request: Any, context: Any) -> version_pb2.GetVersionResponse:
        return version_pb2.GetVersionResponse(version=self.state.version(request.version_id))

    def ResolveVersion(self, request: Any, context: Any) -> version_pb2.ResolveVersionResponse:
        alias = request.alias or "latest"
        for version in self.state.of_collection((request.entity, request.project, request.collection)):
            if alias in version.aliases or alias in (f"v{version.version_index}", version.digest):
                return version_pb2.ResolveVersionResponse(version=version)
        name = f"{request.entity}/{request.project}/{request.collection}:{alias}"
        raise Refusal(Reason.NOT_FOUND, f"There is no version {name}")

    def ListVersions(self, request: Any, context: Any) -> version_pb2.ListVersionsResponse:
        versions = self.state.of_collection((request.entity, request.project, request.collection))
        if not versions or (request.type and versions[0].type != request.type):
            raise Refusal(Reason.NOT_FOUND, f"There is no collection {request.collection}")
        versions = [version for version in versions if set(request.tags) <= set(version.tags)]
        oldest_first = request.order.startswith("+") if request.order else request.oldest_first
        versions.sort(key=lambda version: version.version_index, reverse=not oldest_first)
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        return version_pb2.ListVersionsResponse(
            versions=versions[start:end],
            next_page_token=str(end) if end < len(versions) else "",
            total_count=len(versions),
        )

    def ListManifestSegments(self, request: Any, context: Any) -> version_pb2.ListManifestSegmentsResponse:
        entries = self._entries(request.version_id)
        segments = encode_segments({path: e for path, e in entries.items() if path.startswith(request.path_prefix)})
        page, next_token = _page(segments, request.page_token)
        return version_pb2.ListManifestSegmentsResponse(
            segments=page, next_page_token=next_token, entry_count=len(entries)
        )

    def UpdateVersion(self, request: Any, context: Any) -> version_pb2.UpdateVersionResponse:
        version = self.state.version(request.version_id)
        if request.set_description:
            version.description = request.description
            version.has_description = not request.description_is_null
        if request.set_metadata:
            version.metadata_json = request.metadata_json
        self.state.move_aliases(version, request.aliases_to_add)
        _replace(version.aliases, set(version.aliases) - set(request.aliases_to_remove))
        _replace(version.tags, (set(version.tags) | set(request.tags_to_add)) - set(request.tags_to_remove))
        return version_pb2.UpdateVersionResponse(version=version)

    def DeleteVersion(self, request: Any, context: Any) -> version_pb2.DeleteVersionResponse:
        version = self.state.version(request.version_id)
        if version.aliases and not request.delete_aliases:
            raise Refusal(Reason.HAS_ALIASES, f"Version v{version.version_index} has aliases")
        version.state = version_pb2.VERSION_STATE_DELETED
        del version.aliases[:]
        return version_pb2.DeleteVersionResponse(version=version)

    def ListCollections(self, request: Any, context: Any) -> collection_pb2.ListCollectionsResponse:
        names = sorted(
            {
                v.collection
                for v in self.state.versions.values()
                if (v.entity, v.project) == (request.entity, request.project)
            }
        )
        collections = [self._collection(request.entity, request.project, name) for name in names]
        found = [one for one in collections if not request.type or one.type == request.type]
        return collection_pb2.ListCollectionsResponse(collections=found, total_count=len(found))

    def GetCollection(self, request: Any, context: Any) -> collection_pb2.GetCollectionResponse:
        collection = self._collection(request.entity, request.project, request.name)
        return collection_pb2.GetCollectionResponse(collection=collection)

    def _collection(self, entity: str, project: str, name: str) -> collection_pb2.Collection:
        versions = self.state.of_collection((entity, project, name))
        latest = self.state.latest((entity, project, name))
        if latest is None:
            raise Refusal(Reason.NOT_FOUND, f"There is no collection {entity}/{project}/{name}")
        return collection_pb2.Collection(
            entity=entity,
            project=project,
            name=name,
            type=latest.type,
            version_count=len(versions),
            latest_version_index=latest.version_index,
            latest_size_bytes=latest.size_bytes,
            updated_at_ms=latest.created_at_ms,
        )

    # --- RunService ---------------------------------------------------------------------------------------------------

    def UpsertRun(self, request: Any, context: Any) -> run_pb2.UpsertRunResponse:
        stored = self.state.keep_run(request.run)
        for emptied in request.cleared:
            stored.ClearField(emptied)
        return run_pb2.UpsertRunResponse(run=stored)

    def GetRun(self, request: Any, context: Any) -> run_pb2.GetRunResponse:
        run = self.state.runs.get((request.entity, request.project, request.run_id))
        if run is None:
            raise Refusal(Reason.NOT_FOUND, f"There is no run {request.run_id}")
        return run_pb2.GetRunResponse(run=run)

    def RecordUse(self, request: Any, context: Any) -> run_pb2.RecordUseResponse:
        self.state.version(request.version_id)
        self.state.add_edge(request.run, request.version_id, request.kind or run_pb2.EDGE_KIND_USED)
        return run_pb2.RecordUseResponse()

    def ListVersionRuns(self, request: Any, context: Any) -> run_pb2.ListVersionRunsResponse:
        runs = [
            self.state.runs[key]
            for key, version_id, kind in self.state.edges
            if (version_id, kind) == (request.version_id, request.kind)
        ]
        return run_pb2.ListVersionRunsResponse(runs=runs)

    def ListRunArtifacts(self, request: Any, context: Any) -> version_pb2.ListRunArtifactsResponse:
        key = (request.entity, request.project, request.run_id)
        versions = [
            self.state.version(one) for run, one, kind in self.state.edges if (run, kind) == (key, request.kind)
        ]
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        return version_pb2.ListRunArtifactsResponse(
            versions=versions[start:end],
            next_page_token=str(end) if end < len(versions) else "",
            total_count=len(versions),
        )

    def ListRunVersions(self, request: Any, context: Any) -> run_pb2.ListRunVersionsResponse:
        key = (request.entity, request.project, request.run_id)
        ids = [version_id for run, version_id, kind in self.state.edges if (run, kind) == (key, request.kind)]
        return run_pb2.ListRunVersionsResponse(version_ids=ids)


class Guard(grpc.ServerInterceptor):
    """Checks the token, plays the faults of single calls, and turns refusals into errors as they are on the wire."""

    def __init__(self, token: str, faults: Faults, calls: Calls) -> None:
        self._expected = ("authorization", f"Bearer {token}")
        self._faults = faults
        self._calls = calls

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        method = details.method.rpartition("/")[2]
        self._calls.methods.append(method)
        refusal = self._refusal(method, details.invocation_metadata)
        if handler.response_streaming:
            wrapped = _refusing_stream(handler.stream_stream or handler.unary_stream, refusal)
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            wrapped = _refusing_unary(self._scripted(method, handler.unary_unary), refusal)
            make = grpc.unary_unary_rpc_method_handler
        return make(wrapped, handler.request_deserializer, handler.response_serializer)

    def _scripted(self, method: str, behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def call(request: Any, context: Any) -> Any:
            self._calls.requests[method].append(request)
            answers = self._faults.answers[method]
            return answers.pop(0) if answers else behaviour(request, context)

        return call

    def _refusal(self, method: str, metadata: Any) -> Refusal | None:
        if self._faults.refusals[method]:
            return self._faults.refusals[method].pop(0)
        if self._faults.draining:
            return Refusal(Reason.DRAINING, "The daemon is stopping")
        if method != "Hello" and self._expected not in [tuple(pair) for pair in metadata]:
            return Refusal(Reason.UNAUTHENTICATED, "The call has no token, or a wrong one")
        return None


def _refusing_unary(behaviour: Callable[[Any, Any], Any], refusal: Refusal | None) -> Callable[[Any, Any], Any]:
    def call(request: Any, context: Any) -> Any:
        try:
            if refusal is not None:
                raise refusal
            return behaviour(request, context)
        except Refusal as error:
            _abort(context, error)

    return call


def _refusing_stream(behaviour: Callable[[Any, Any], Any], refusal: Refusal | None) -> Callable[[Any, Any], Any]:
    def call(request: Any, context: Any) -> Iterator[Any]:
        try:
            if refusal is not None:
                raise refusal
            yield from behaviour(request, context)
        except Refusal as error:
            _abort(context, error)

    return call


def _abort(context: Any, refusal: Refusal) -> None:
    context.set_trailing_metadata((("holdfast-error-bin", refusal.detail.SerializeToString()),))
    context.abort(getattr(grpc.StatusCode, REASONS[refusal.reason].status), refusal.detail.message)


def _page(segments: list[bytes], token: str) -> tuple[list[bytes], str]:
    """One segment a page, so that paging is never skipped."""
    index = int(token or 0)
    return segments[index : index + 1], str(index + 1) if index + 1 < len(segments) else ""


def _put_file(root: str, path: str, entry: FakeEntry) -> bool:
    """Writes one file; returns False for a reference that is not a local file."""
    if entry.is_reference and not entry.uri.startswith("file://"):
        return False
    target = os.path.join(root, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if entry.is_reference:
        shutil.copyfile(entry.uri.removeprefix("file://"), target)
    else:
        with open(target, "wb") as file:
            file.write(entry.data or b"")
    return True


def _read(root: str, path: str) -> bytes:
    with open(os.path.join(root, path), "rb") as file:
        return file.read()


def _replace(repeated: Any, values: set[str]) -> None:
    del repeated[:]
    repeated.extend(sorted(values))


def _progress(session: FakeSession) -> log_pb2.JobProgress:
    state = log_pb2.JOB_STATE_DRAFT if session.finalize is None else log_pb2.JOB_STATE_UPLOAD
    if session.version is not None:
        state = log_pb2.JOB_STATE_COMMITTED
    size = sum(entry.size for entry in session.entries.values())
    return log_pb2.JobProgress(
        job_id=session.opening.session_id,
        state=state,
        artifact_name=session.opening.artifact_name,
        artifact_type=session.opening.artifact_type,
        entries_read=len(session.entries),
        entries_total=len(session.entries),
        bytes_total=size,
        bytes_read=size,
        bytes_sent=size if session.version is not None else 0,
    )


def _qualified_name(session: FakeSession) -> str:
    final = session.finalize
    return f"{final.entity}/{final.project}/{final.collection}" if final is not None else ""
