"""A user who logs artifacts, whatever dies, and remembers what each must contain: the model that the crash tests compare with."""

import contextlib
import itertools
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from blake3 import blake3

from holdfastpb.daemon.v1.log_pb2 import AddEntry, Record, WaitArtifactRequest
from support.log_client import LogClient, LogSession, bytes_record, file_record, tree_record
from support.processes import POLL_S, DidNotStartError, Host, Server

LARGE_BYTES = 700_000
"""Cut into a few chunks: large files take another way through the daemon than small ones."""


@dataclass
class Artifact:
    """One artifact of the user's, and what it must contain."""

    session: LogSession
    folder: Path
    content: dict[str, bytes] = field(default_factory=dict)
    """Path → digest."""
    records: list[Record] = field(default_factory=list)
    keeps_files: bool = True
    """False: the files are deleted as soon as the daemon says that it has read them."""
    abandoned: bool = False
    """The user died with the daemon before Finalize was acknowledged: the artifact may be there or not."""


class User:
    """Logs to one collection.  Everything is drawn from `rng`."""

    def __init__(self, host: Host, folder: Path, rng: random.Random, *, collection: str = "c") -> None:
        self.host = host
        self.artifacts: list[Artifact] = []
        self.collection = collection
        self._folder = folder
        self._rng = rng
        self._numbers = itertools.count()

    def log_until_death(self, *, artifacts_max: int, files_max: int = 50) -> bool:
        """Logs artifacts and waits for their versions; returns whether a process died under it."""
        try:
            with LogClient(self.host.places) as client:
                self.go_on(client)
                for _ in range(artifacts_max):
                    artifact = self.make(files_max)
                    self.log(client, artifact)
                for artifact in self.artifacts:
                    if artifact.session.finalized:
                        client.wait(artifact.session.session_id)
        except (grpc.RpcError, FileNotFoundError) as error:
            self._check_that_it_is_death(error)
            self._maybe_give_up()
            return True
        return False

    def log_and_watch(self, process: Server) -> bool:
        """Logs one artifact and waits for its version, or for the death of another process; returns whether that died."""
        with LogClient(self.host.places) as client, ThreadPoolExecutor(1) as pool:
            artifact = self.make(50)
            self.log(client, artifact)
            call = client.log.WaitArtifact(
                WaitArtifactRequest(job_id=artifact.session.session_id), metadata=client.metadata, timeout=60
            )
            end = pool.submit(lambda: list(call))
            while process.is_running and not end.done():
                time.sleep(POLL_S)
            call.cancel()
        return not process.is_running

    def make(self, files_max: int, *, keeps_files: bool | None = None) -> Artifact:
        """Makes files on the disk and the records that name them."""
        number = next(self._numbers)
        rng = self._rng
        # Of two clients: artifacts of one wait for each other, so only another's version can come between a commit and its repeat.
        session = LogSession(self.collection, client_id=rng.choice(["one", "two"]))
        artifact = Artifact(session, self._folder / f"a{number}")
        takes = keeps_files is None and rng.random() < 0.5
        # What is taken from a version is read at the registry: who removes files once all is read would wait for one that is dead.
        artifact.keeps_files = takes or (rng.random() < 0.5 if keeps_files is None else keeps_files)
        mutable = not artifact.keeps_files
        artifact.folder.mkdir(parents=True)
        tree = artifact.folder / "tree"
        (tree / "sub").mkdir(parents=True)
        for at in range(rng.randint(2, files_max)):
            # Some contents come again in other artifacts: their chunks are stored already, or are being sent by another pack.
            shared = rng.random() < 0.3
            data = rng.randbytes(300) if not shared else b"shared %d" % (at % 17)
            self._write(tree / ("sub" if at % 2 else "") / f"f{at}", data)
            artifact.content[f"tree/{'sub/' if at % 2 else ''}f{at}"] = blake3(data).digest()
        artifact.records.append(tree_record(tree, "tree", mutable=mutable))
        for at in range(rng.randint(0, 8)):
            data = rng.randbytes(rng.choice([0, 1, 5000]))
            self._write(artifact.folder / f"g{at}", data)
            artifact.records.append(file_record(artifact.folder / f"g{at}", f"g{at}", mutable=mutable))
            artifact.content[f"g{at}"] = blake3(data).digest()
        if rng.random() < 0.5:
            data = rng.randbytes(LARGE_BYTES)
            self._write(artifact.folder / "large", data)
            artifact.records.append(file_record(artifact.folder / "large", "large", mutable=mutable))
            artifact.content["large"] = blake3(data).digest()
        data = b"number %d" % number
        artifact.records.append(bytes_record("inline", data))
        artifact.content["inline"] = blake3(data).digest()
        if takes:
            self._take_from_the_last(artifact)
        return artifact

    def _take_from_the_last(self, artifact: Artifact) -> None:
        """One entry of the artifact before, which may be committed already or still be on its way."""
        finalized = [before for before in self.artifacts if before.session.finalized]
        if finalized:
            taken = AddEntry(session_id=finalized[-1].session.session_id, source_path="inline", path="taken")
            artifact.records.append(Record(add_entry=taken))
            artifact.content["taken"] = finalized[-1].content["inline"]

    def log(self, client: LogClient, artifact: Artifact) -> None:
        """Logs one artifact; returns when it is acknowledged."""
        self.artifacts.append(artifact)
        artifact.session.attach(client)
        half = len(artifact.records) // 2
        for records in (artifact.records[:half], artifact.records[half:]):
            if records:
                artifact.session.send(records)
        self._finish(artifact)

    def go_on(self, client: LogClient) -> None:
        """Takes up at a new daemon what the last one left unacknowledged, as the SDK does."""
        for artifact in self.artifacts:
            session = artifact.session
            if session.finalized or artifact.abandoned:
                continue
            session.attach(client)
            if len(session.records) < len(artifact.records) and not session.finalized:
                session.send(artifact.records[len(session.records) :])
            if not session.finalized:
                self._finish(artifact)

    def check(self) -> None:
        """Every acknowledged artifact is a version, exactly one, with its content; and the store is whole."""
        with LogClient(self.host.places) as client:
            self.go_on(client)
            for artifact in self.artifacts:
                if not artifact.abandoned:
                    answer = client.wait(artifact.session.session_id)
                    assert answer.HasField("version"), f"{answer.error.message}\n{self.host.daemon.log_tail()}"
                    found = client.entries(answer.version.version_id)
                    assert found == artifact.content
            versions = client.list_versions(self.collection)
        assert [v.version_index for v in versions] == list(range(len(versions)))
        digests = [v.digest for v in versions]
        assert len(set(digests)) == len(digests), "an artifact was committed twice"
        certain = sum(not a.abandoned for a in self.artifacts)
        assert certain <= len(versions) <= len(self.artifacts)
        assert not self.host.fsck()

    def _finish(self, artifact: Artifact) -> None:
        if not artifact.keeps_files:
            artifact.session.until_ingested()
            shutil.rmtree(artifact.folder, ignore_errors=True)
        artifact.session.finalize()

    def _maybe_give_up(self) -> None:
        for artifact in self.artifacts:
            if not artifact.session.finalized and self._rng.random() < 0.2:
                artifact.abandoned = True

    def _check_that_it_is_death(self, error: Exception) -> None:
        """A refusal, or a call that took too long, is not a death."""
        if isinstance(error, grpc.RpcError):
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), (  # type: ignore[attr-defined]
                f"{error}\n{self.host.daemon.log_tail()}"
            )
            self.host.daemon.wait()

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.write_bytes(data)


def start_or_die(host: Host, failpoints: str) -> bool:
    """Starts the next daemon; returns whether it lives (False: it died while it took stock)."""
    with contextlib.suppress(DidNotStartError):
        host.restart(failpoints)
        return True
    return False
