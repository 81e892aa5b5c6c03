"""SeaweedFS as several machines run it: masters, volume servers, filers and S3 gateways, each a process of its own on loopback.

    with SeaweedCluster.started(folder, postgres) as cluster:
        cluster.kill("volume-1")
        cluster.start("volume-1")

Each object lies on two volume servers.  The filers keep what they know in one PostgreSQL, so that any of them serves for any gateway.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from support.background_server import BackgroundServer, answers, free_ports
from support.postgres import SUPERUSER, Postgres
from support.processes import wait_until
from support.s3_requests import S3Requests, write_identities
from support.seaweedfs import VOLUME_SIZE_MB, VOLUMES_MAX, find_weed, remove_sockets
from support.tcp_proxy import TcpProxy

VOLUME_SERVERS = 3
GATEWAYS = 2
ASK_TIMEOUT_S = 5.0
SHELL_TIMEOUT_S = 60.0
_LOOPBACK = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")
_ENVIRON = {
    # Two volumes for a bucket instead of six: less to make, and each server has one of them.
    "WEED_MASTER_VOLUME_GROWTH_COPY_2": "2",
    "WEED_LEVELDB2_ENABLED": "false",
    "WEED_POSTGRES2_ENABLED": "true",
    "WEED_POSTGRES2_USERNAME": SUPERUSER,
    "WEED_POSTGRES2_SSLMODE": "disable",
    "WEED_POSTGRES2_CONNECTION_MAX_OPEN": "20",
    "WEED_POSTGRES2_CONNECTION_MAX_IDLE": "5",
}


class SeaweedCluster(S3Requests):
    """All processes and a balancer before the gateways, which is what clients reach.

    Attributes:
        balancer: it passes each connection on to the next gateway that takes it.
        parts: names of the processes: `master-0`, `volume-0`, `filer-0`, `gateway-0` and so on.
    """

    def __init__(self, folder: Path, postgres: Postgres, *, masters: int) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        counts = {"master": masters, "volume": VOLUME_SERVERS, "filer": GATEWAYS, "gateway": GATEWAYS}
        self.parts = [f"{kind}-{number}" for kind, count in counts.items() for number in range(count)]
        ports = iter(free_ports(2 * len(self.parts)))
        self._ports = {part: (next(ports), next(ports)) for part in self.parts}
        self._identities = write_identities(folder / "identities.json")
        environ = {
            **os.environ,
            **_ENVIRON,
            "TMPDIR": str(folder),  # for the logs that each keeps beside what it says
            "WEED_POSTGRES2_HOSTNAME": str(postgres.folder),
            "WEED_POSTGRES2_DATABASE": urlsplit(postgres.new_database()).path.lstrip("/"),
        }
        self._servers = {
            part: BackgroundServer(self._command(part), folder / f"{part}.log", environ) for part in self.parts
        }
        self.balancer = TcpProxy(*(f"127.0.0.1:{self._ports[part][0]}" for part in self._of("gateway")))
        super().__init__(int(self.balancer.address.rpartition(":")[2]))

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, postgres: Postgres, *, masters: int) -> Iterator[SeaweedCluster]:
        """A cluster that takes objects; ended, and its sockets removed, at the end."""
        cluster = cls(folder, postgres, masters=masters)
        try:
            for part in cluster.parts:
                cluster.start(part)
            wait_until(cluster.takes_objects)
            yield cluster
        finally:
            for server in cluster._servers.values():
                server.stop()
            cluster.balancer.close()
            remove_sockets(rpc_port for _, rpc_port in cluster._ports.values())

    def start(self, part: str) -> None:
        """Starts a process, and returns when it listens; it has what it had before."""
        self._servers[part].start(lambda: answers(self._ports[part][0]))

    def kill(self, part: str) -> None:
        """kill -9."""
        self._servers[part].stop()

    def lose_disk(self, part: str) -> None:
        """kill -9, and nothing is left of what the process had stored."""
        self.kill(part)
        shutil.rmtree(self._folder / part)
        (self._folder / part).mkdir()

    def make_missing_copies(self) -> None:
        """What an administrator does when a disk is lost."""
        command = [find_weed(), "shell", f"-master={self._addresses('master')}"]
        done = subprocess.run(
            command,
            input="lock\nvolume.fix.replication -apply\nunlock\nexit\n",
            capture_output=True,
            text=True,
            timeout=SHELL_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def leader(self) -> str:
        """The master that leads; waits for one."""
        found: list[str] = []
        wait_until(lambda: bool(found.extend(part for part in self._of("master") if self._leads(part)) or found))
        return found[0]

    def volume_servers(self) -> list[str]:
        """Their names."""
        return self._of("volume")

    def fullest_volume_server(self) -> str:
        """The one that holds most bytes."""
        return max(self.volume_servers(), key=self._stored_bytes)

    def _stored_bytes(self, part: str) -> int:
        return sum(path.stat().st_size for path in (self._folder / part).glob("*.dat"))

    def _leads(self, master: str) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(
                f"http://127.0.0.1:{self._ports[master][0]}/cluster/status", timeout=ASK_TIMEOUT_S
            ) as answer,
        ):
            return bool(json.load(answer).get("IsLeader"))
        return False

    # --- command lines ------------------------------------------------------------------------------------------------

    def _of(self, kind: str) -> list[str]:
        return [part for part in self.parts if part.startswith(kind)]

    def _addresses(self, kind: str) -> str:
        return ",".join("127.0.0.1:{}.{}".format(*self._ports[part]) for part in self._of(kind))

    def _command(self, part: str) -> list[str]:
        kind = part.partition("-")[0]
        data = self._folder / part
        data.mkdir()
        port, rpc_port = self._ports[part]
        own = {
            "master": ("master", *_LOOPBACK, *self._of_master(data)),
            "volume": (
                "volume",
                *_LOOPBACK,
                f"-dir={data}",
                f"-master={self._addresses('master')}",
                f"-max={VOLUMES_MAX}",
                # Loopback is no place to copy a volume from, unless this is said.
                "-volume.allowUntrustedRemoteEndpoints",
            ),
            "filer": (
                "filer",
                *_LOOPBACK,
                f"-master={self._addresses('master')}",
                f"-defaultStoreDir={data}",
                f"-localSocket={data / 'filer.sock'}",
            ),
            "gateway": (
                "s3",
                *_LOOPBACK,
                f"-filer={self._addresses('filer')}",
                f"-config={self._identities}",
                f"-localSocket={data / 's3.sock'}",
                "-port.iceberg=0",
                "-port.lance=0",
            ),
        }[kind]
        return [find_weed(), *own, f"-port={port}", f"-port.grpc={rpc_port}"]

    def _of_master(self, data: Path) -> list[str]:
        alone = len(self._of("master")) == 1
        return [
            f"-mdir={data}",
            "-peers=none" if alone else f"-peers={self._addresses('master')}",
            "-electionTimeout=1s",
            "-defaultReplication=001",
            f"-volumeSizeLimitMB={VOLUME_SIZE_MB}",
            "-telemetry=false",
        ]
