"""What a daemon and a registry know, in memory: sessions, jobs, versions, runs.  The rules are those of the protos' comments."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from holdfast_contract.digest import ArtifactDigest, file_digest
from holdfast_contract.reasons import DOMAIN, REASONS, Reason
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import run_pb2, version_pb2

SEGMENT_ENTRIES = 3
"""Few, so that small tests have manifests of several segments."""


class Refusal(Exception):
    """A call or record cannot be done."""

    def __init__(self, reason: Reason, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.detail = ErrorDetail(
            reason=reason, domain=DOMAIN, message=message, metadata=metadata, retryable=REASONS[reason].retryable
        )


@dataclass(frozen=True)
class FakeEntry:
    digest: str
    size: int
    data: bytes | None = None
    uri: str = ""

    @property
    def is_reference(self) -> bool:
        return bool(self.uri)


def encode_segments(entries: Mapping[str, FakeEntry]) -> list[bytes]:
    """The manifest of these entries, in segments."""
    paths = sorted(entries)
    return [
        _encode_segment(paths[start : start + SEGMENT_ENTRIES], entries)
        for start in range(0, len(paths), SEGMENT_ENTRIES)
    ]


def _encode_segment(paths: list[str], entries: Mapping[str, FakeEntry]) -> bytes:
    segment = ManifestSegment(paths=paths, sizes=[entries[path].size for path in paths])
    digests = []
    for index, path in enumerate(paths):
        entry = entries[path]
        digests.append(b"\0" * 32 if entry.is_reference else bytes.fromhex(entry.digest))
        if entry.is_reference:
            segment.references.add(entry_index=index, uri=entry.uri, digest=entry.digest)
    segment.digests = b"".join(digests)
    return segment.SerializeToString()


def artifact_digest(entries: Mapping[str, FakeEntry]) -> str:
    digest = ArtifactDigest()
    paths = sorted(entries)
    digest.update(paths, [entries[path].digest for path in paths])
    return digest.hexdigest()


@dataclass
class FakeSession:
    """One artifact's records, and the job that they become."""

    opening: log_pb2.Open
    entries: dict[str, FakeEntry] = field(default_factory=dict)
    records: list[log_pb2.Record] = field(default_factory=list)
    failures: dict[int, ErrorDetail] = field(default_factory=dict)
    finalize: log_pb2.Finalize | None = None
    version: version_pb2.Version | None = None
    created: bool = False
    error: ErrorDetail | None = None
    cancelled: bool = False

    @property
    def last_seq(self) -> int:
        return len(self.records)


class FakeState:
    """Everything that survives a restart of the fake daemon."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sessions: dict[str, FakeSession] = {}
        self.versions: dict[str, version_pb2.Version] = {}
        self.manifests: dict[str, dict[str, FakeEntry]] = {}
        self.runs: dict[tuple[str, str, str], run_pb2.Run] = {}
        self.edges: list[tuple[tuple[str, str, str], str, int]] = []
        self.next_index: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.fail_paths: dict[str, Reason] = {}
        self.commit_refusal: Refusal | None = None

    # --- records ------------------------------------------------------------------------------------------------------

    def add_record(self, session: FakeSession, record: log_pb2.Record) -> None:
        """Takes the next record; what cannot be done is remembered as failed."""
        session.records.append(record)
        try:
            self._do(session, record)
        except Refusal as refusal:
            session.failures[session.last_seq] = refusal.detail

    def _do(self, session: FakeSession, record: log_pb2.Record) -> None:
        what = record.WhichOneof("what")
        if what == "add_bytes":
            one = record.add_bytes
            self._put(session, one.path, _file_entry(one.data), overwrite=one.overwrite)
        elif what == "add_file":
            file = record.add_file
            self._put(session, file.path, self._read(file.local_path), overwrite=file.overwrite)
        elif what == "add_tree":
            self._add_tree(session, record.add_tree)
        elif what == "add_reference":
            self._add_reference(session, record.add_reference)
        elif what == "remove":
            gone = record.remove.path
            session.entries = {
                path: entry
                for path, entry in session.entries.items()
                if path != gone and not path.startswith(f"{gone}/")
            }
        elif what == "add_base":
            session.entries.update(self.manifests[record.add_base.version_id])
        elif what == "retract":
            self._retract(session, record.retract.seq)

    def _retract(self, session: FakeSession, seq: int) -> None:
        """The draft is as if the record had never been sent."""
        session.failures.pop(seq, None)
        session.records[seq - 1] = log_pb2.Record()
        session.entries.clear()
        for number, record in enumerate(session.records[:-1], 1):
            if number not in session.failures and not record.HasField("retract"):
                self._do(session, record)

    def _put(self, session: FakeSession, path: str, entry: FakeEntry, *, overwrite: bool) -> None:
        if path in self.fail_paths:
            raise Refusal(self.fail_paths[path], f"{path} failed, as the test wants", path=path)
        old = session.entries.get(path)
        if old is not None and old.digest != entry.digest and not overwrite:
            raise Refusal(Reason.ALREADY_EXISTS, f"Cannot add the same path twice: {path}", path=path)
        session.entries[path] = entry

    def _read(self, local_path: bytes) -> FakeEntry:
        try:
            with open(local_path, "rb") as file:
                return _file_entry(file.read())
        except FileNotFoundError as error:
            raise Refusal(Reason.FILE_MISSING, f"{os.fsdecode(local_path)} is gone") from error

    def _add_tree(self, session: FakeSession, tree: log_pb2.AddTree) -> None:
        for below, local_path in _walk(tree.local_path):
            path = f"{tree.prefix}/{below}" if tree.prefix else below
            self._put(session, path, self._read(local_path), overwrite=tree.overwrite)

    def _add_reference(self, session: FakeSession, added: log_pb2.AddReference) -> None:
        if not added.local_path:
            entry = FakeEntry(added.digest, added.size, uri=added.uri)
            self._put(session, added.path, entry, overwrite=added.overwrite)
        elif os.path.isdir(added.local_path):
            files = list(_walk(added.local_path))
            if added.objects_max and len(files) > added.objects_max:
                raise Refusal(Reason.TOO_LARGE, f"{added.uri} has more than {added.objects_max} objects")
            for below, local_path in files:
                path = f"{added.path}/{below}" if added.path else below
                self._put(session, path, self._reference(f"{added.uri}/{below}", local_path, added), overwrite=False)
        else:
            self._put(session, added.path, self._reference(added.uri, added.local_path, added), overwrite=False)

    def _reference(self, uri: str, local_path: bytes, added: log_pb2.AddReference) -> FakeEntry:
        read = self._read(local_path)
        digest = read.digest if added.checksum else file_digest(uri.encode()).hex()
        return FakeEntry(digest, read.size, uri=uri)

    # --- commit -------------------------------------------------------------------------------------------------------

    def commit(self, session: FakeSession) -> None:
        """Makes the version of a finalized session, once."""
        final = session.finalize
        assert final is not None
        if session.version is not None or session.error is not None:
            return
        if session.failures:
            session.error = session.failures[min(session.failures)]
        elif self.commit_refusal is not None:
            session.error = self.commit_refusal.detail
        else:
            self._commit(session, final)

    def _commit(self, session: FakeSession, final: log_pb2.Finalize) -> None:
        key = (final.entity, final.project, final.collection)
        digest = artifact_digest(session.entries)
        latest = self.latest(key)
        if latest is not None and latest.type != final.type:
            session.error = Refusal(
                Reason.TYPE_MISMATCH,
                f"Artifact {final.collection} already exists with type '{latest.type}'; cannot create another with type"
                f" '{final.type}'",
            ).detail
            return
        session.created = latest is None or latest.digest != digest
        version = self._new_version(key, session, digest) if latest is None or session.created else latest
        self.move_aliases(version, [*final.aliases, "latest"])
        version.tags.extend(tag for tag in final.tags if tag not in version.tags)
        if final.HasField("run"):
            self.add_edge(final.run, version.version_id, run_pb2.EDGE_KIND_LOGGED)
            version.logged_by_run_id = version.logged_by_run_id or final.run.run_id
        session.version = version

    def _new_version(self, key: tuple[str, str, str], session: FakeSession, digest: str) -> version_pb2.Version:
        final = session.finalize
        assert final is not None
        version = version_pb2.Version(
            version_id=os.urandom(16).hex(),
            entity=key[0],
            project=key[1],
            collection=key[2],
            type=final.type,
            version_index=self.next_index[key],
            state=version_pb2.VERSION_STATE_COMMITTED,
            digest=digest,
            size_bytes=sum(entry.size for entry in session.entries.values()),
            entry_count=len(session.entries),
            description=final.description,
            has_description=final.has_description,
            metadata_json=final.metadata_json,
            created_at_ms=time.time_ns() // 1_000_000,
            commit_hash=os.urandom(8).hex(),
        )
        self.next_index[key] += 1
        self.versions[version.version_id] = version
        self.manifests[version.version_id] = {path: replace(entry) for path, entry in session.entries.items()}
        return version

    def latest(self, key: tuple[str, str, str]) -> version_pb2.Version | None:
        return max(self.of_collection(key), key=lambda version: version.version_index, default=None)

    def of_collection(self, key: tuple[str, str, str]) -> list[version_pb2.Version]:
        return [
            version
            for version in self.versions.values()
            if (version.entity, version.project, version.collection) == key
            and version.state == version_pb2.VERSION_STATE_COMMITTED
        ]

    def move_aliases(self, target: version_pb2.Version, aliases: Iterable[str]) -> None:
        wanted = set(aliases)
        for version in self.of_collection((target.entity, target.project, target.collection)):
            kept = [alias for alias in version.aliases if alias not in wanted]
            del version.aliases[:]
            version.aliases.extend(sorted({*kept, *wanted}) if version is target else kept)

    def add_edge(self, run: run_pb2.Run, version_id: str, kind: int) -> None:
        key = (run.entity, run.project, run.run_id)
        self.keep_run(run)
        if (key, version_id, kind) not in self.edges:
            self.edges.append((key, version_id, kind))

    def keep_run(self, run: run_pb2.Run) -> run_pb2.Run:
        stored = self.runs.setdefault((run.entity, run.project, run.run_id), run_pb2.Run())
        if run.tags:
            del stored.tags[:]
        stored.MergeFrom(run)
        return stored

    def version(self, version_id: str) -> version_pb2.Version:
        if version_id not in self.versions:
            raise Refusal(Reason.NOT_FOUND, f"There is no version {version_id}")
        return self.versions[version_id]


def _file_entry(data: bytes) -> FakeEntry:
    return FakeEntry(file_digest(data).hex(), len(data), data)


def _walk(root: bytes) -> Iterable[tuple[str, bytes]]:
    for folder, _, names in os.walk(root, followlinks=True):
        for name in sorted(names):
            local_path = os.path.join(folder, name)
            yield os.fsdecode(os.path.relpath(local_path, root)), local_path
