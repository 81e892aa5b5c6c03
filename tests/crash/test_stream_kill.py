"""Packs that are streamed to a registry on TCP arrive, whatever a try before has left there, and whatever happened to the pack here."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import pytest
from blake3 import blake3

from holdfastpb.daemon.v1.control_pb2 import SyncRequest
from holdfastpb.registry.v1.pack_pb2 import WritePackRequest
from registry.client import Client
from support.log_client import LogClient, LogSession, file_record
from support.own_registry import OwnRegistry
from support.processes import END_TIMEOUT_S, POLL_S, Host, running_host

CONTENT_BYTES = 50_000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry")) as registry:
        registry.start()
        yield registry


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host"), registry.daemon_settings(), own_registry=False) as host:
        yield host


@dataclass
class Logged:
    """A held job of one file."""

    session: LogSession
    digest: bytes
    asked: grpc.Future | None = None
    """Kept: a call that nobody holds is cancelled."""

    def let_go(self, client: LogClient) -> None:
        """Asks for its way to the registry; the daemon may die or stop before it answers."""
        request = SyncRequest(job_ids=[self.session.session_id])
        self.asked = client.control.Sync.future(request, metadata=client.metadata)

    def check(self, client: LogClient) -> None:
        ended = client.wait(self.session.session_id)
        assert ended.HasField("version"), ended.error.message
        assert client.entries(ended.version.version_id) == {"file": self.digest}


def log_held(client: LogClient, name: str, folder: Path) -> Logged:
    content = os.urandom(CONTENT_BYTES)
    (folder / name).write_bytes(content)
    session = LogSession(name)
    session.attach(client)
    session.send([file_record(folder / name, "file")])
    session.until_ingested()
    session.finalize(hold=True)
    client.until_resting(session.session_id)
    return Logged(session, blake3(content).digest())


@dataclass
class Stopped:
    """A daemon that stands still between a pack's grant and its stream."""

    client: LogClient
    logged: Logged
    process: psutil.Process

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def stopped_after_grant(host: Host, name: str, folder: Path) -> Iterator[Stopped]:
    host.restart("upload.after_grant=stop")
    with LogClient(host.places) as client:
        logged = log_held(client, name, folder)
        logged.let_go(client)
        assert host.daemon.process is not None
        daemon = psutil.Process(host.daemon.process.pid)
        _until_stopped(daemon)
        yield Stopped(client, logged, daemon)


def _until_stopped(process: psutil.Process) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "the daemon has not come to its grant"
        time.sleep(POLL_S)


def spooled_pack(host: Host) -> Path:
    (path,) = [path for path in host.places.spool.iterdir() if path.stat().st_size > CONTENT_BYTES]
    return path


def test_a_pack_that_had_come_whole_when_the_daemon_was_killed_is_sealed_by_the_next(
    host: Host, tmp_path: Path
) -> None:
    host.restart("upload.after_transfer=kill_group")
    with LogClient(host.places) as client:
        logged = log_held(client, "whole", tmp_path)
        logged.let_go(client)
        host.daemon.wait()
    host.start()
    with LogClient(host.places) as client:
        logged.check(client)


def test_bytes_of_a_stream_that_was_cut_may_come_in_after_the_next_grant(
    host: Host, registry: OwnRegistry, tmp_path: Path
) -> None:
    with stopped_after_grant(host, "late", tmp_path) as stopped:
        with contextlib.closing(sqlite3.connect(registry.data_dir / "registry.sqlite3")) as database:
            newest = database.execute("SELECT pack_id, lease_id FROM pack ORDER BY id DESC")
            pack_id, lease_id = newest.fetchone()
        late = WritePackRequest(lease_id=lease_id, pack_id=pack_id, data=spooled_pack(host).read_bytes()[:1000])
        with Client(registry.address, registry.token_file.read_text().strip()) as other:
            assert other.call(other.packs.WritePack, iter([late])).committed_bytes == 1000
        stopped.go_on()
        stopped.logged.check(stopped.client)


def test_a_pack_that_was_cut_short_on_the_disk_is_made_again(host: Host, tmp_path: Path) -> None:
    with stopped_after_grant(host, "short", tmp_path) as stopped:
        os.truncate(spooled_pack(host), CONTENT_BYTES // 2)
        stopped.go_on()
        stopped.logged.check(stopped.client)


def test_a_pack_that_cannot_be_read_for_a_while_is_tried_again(host: Host, tmp_path: Path) -> None:
    with stopped_after_grant(host, "away", tmp_path) as stopped:
        pack, away = spooled_pack(host), tmp_path / "pack"
        pack.rename(away)
        stopped.go_on()
        said = stopped.client.progress(stopped.logged.session.session_id)
        assert any("No such file" in response.progress.waiting_for for response in said)
        away.rename(pack)
        stopped.logged.check(stopped.client)
