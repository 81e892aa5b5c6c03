"""Two registries over one PostgreSQL and one S3 store behind a TCP balancer, and daemons that know the balancer only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

from holdfast_registry.database.inspected import inspected_database
from holdfast_registry.database.scrub_status import ScrubStatus
from registry.client import Client
from registry.kept import Kept
from registry.processes import run_registry
from replicas.cluster import Cluster
from support.own_registry import free_port
from support.postgres import Postgres
from support.processes import Host
from support.tcp_proxy import Fault, TcpProxy

CUT_BYTES_MAX = 20_000
"""Somewhere in the calls of one small version."""


class Balanced(Cluster):
    """Both replicas, the balancer, and what they keep."""

    def __init__(self, folder: Path, postgres: Postgres, kept: Kept, settings: Mapping[str, str]) -> None:
        self.kept = kept
        self._folder = folder
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        environment = {**kept.environment, **settings}
        super().__init__(
            folder,
            postgres,
            url=kept.settings.database_url,
            environment=environment,
            arguments=[("--listen", address) for address in addresses],
        )
        for replica in self.replicas:
            os.chmod(replica.folder, 0o700)
        database = {"HOLDFAST_REGISTRY_DATABASE_URL": self.url}
        made = run_registry("init", "--data-dir", str(folder / "a" / "data"), environment=environment | database)
        assert made.returncode == 0, made.stderr
        self.token = made.stdout.strip()
        self.addresses = addresses
        self.balancer = TcpProxy(*addresses)

    def __exit__(self, *details: object) -> None:
        self.balancer.close()
        super().__exit__(*details)

    def connect(self, turn: int) -> Client:
        """A connection to the replica that the balancer chooses."""
        return Client(self.balancer.address, self.token)

    def host(self, name: str) -> Host:
        """A machine with a daemon, which is not started."""
        folder = self._folder / name
        folder.mkdir()
        token_file = folder / "token"
        token_file.write_text(self.token)
        settings = {
            "HOLDFAST_DAEMON_REGISTRY": self.balancer.address,
            "HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(token_file),
            "HOLDFAST_DAEMON_WORKER_PROCESSES": "1",
        }
        return Host(folder, settings, own_registry=False)

    def kill_all(self) -> None:
        """kill -9 for both, and new starts that go on with what the dead ones held: as if its time were over."""
        for replica in self.replicas:
            replica.kill()
        self.kept.execute("UPDATE gc_state SET held_until_ms = 0; UPDATE duty SET held_until_ms = 0")
        for replica in self.replicas:
            replica.start()

    def disturb(self, random: Random) -> None:
        """Kills one replica or both, or cuts connections to the balancer: those that are open, or new ones in the middle."""
        what = random.choice(("kill one", "kill all", "break", "cut"))
        if what == "kill one":
            self.kill_one(random)
        elif what == "kill all":
            self.kill_all()
        elif what == "break":
            self.balancer.break_all()
        else:
            cut_at, of_replies = random.randrange(CUT_BYTES_MAX), random.random() < 0.5
            self.balancer.set_fault(Fault(cut_after_bytes=cut_at, of_replies=of_replies))

    def scrub_status(self) -> ScrubStatus:
        """What the registries know of damage."""
        database = inspected_database(self.url, self.kept.data_dir)
        return database.look(lambda inspection: inspection.scrub_status())
