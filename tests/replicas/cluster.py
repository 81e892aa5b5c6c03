"""Two registry processes that share database and packs, and clients that go from one to the other when a call fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

import grpc

from holdfastpb.registry.v1.version_pb2 import CommitVersionResponse
from registry.client import Client, Content, new_request_id
from registry.processes import RegistryProcess
from support.postgres import Postgres

T = TypeVar("T")

ATTEMPTS_MAX = 200
PAUSE_S = 0.05
"""Between two attempts."""


class Cluster:
    """Both replicas, running."""

    def __init__(
        self,
        folder: Path,
        postgres: Postgres,
        *,
        url: str | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[Sequence[str]] = ((), ()),
    ) -> None:
        """Takes a database and settings; without them: an empty one, and packs in a shared folder."""
        self.postgres = postgres
        self.url = url or postgres.new_database()
        environment = environment or {"HOLDFAST_REGISTRY_STORE_DIR": str(folder / "store")}
        self.replicas = [
            RegistryProcess(folder / name, *own, environment=environment, database_url=self.url)
            for name, own in zip(("a", "b"), arguments, strict=True)
        ]
        for replica in self.replicas:
            replica.folder.mkdir()

    def __enter__(self) -> Cluster:
        for replica in self.replicas:
            replica.start()
        return self

    def __exit__(self, *_: object) -> None:
        for replica in self.replicas:
            replica.kill()

    def connect(self, turn: int) -> Client:
        """A connection to the replica whose turn it is."""
        return Client(self.replicas[turn % len(self.replicas)].target)

    def client(self, number: int) -> StubbornClient:
        """A client that begins with this replica."""
        return StubbornClient(self.connect, number)

    def count(self, table: str) -> int:
        """The rows of a table."""
        return int(self.postgres.execute(self.url, f"SELECT count(*) FROM {table}")[0])

    @contextmanager
    def faults(self, fault: Callable[[], None], pause_s: float) -> Iterator[None]:
        """Something that happens again and again while the block runs, at least once."""
        ended, happened = threading.Event(), threading.Event()
        failures: list[BaseException] = []

        def go_on() -> None:
            try:
                while not ended.wait(pause_s):
                    fault()
                    happened.set()
            except (AssertionError, OSError) as error:  # belongs to the test, which is another thread
                failures.append(error)
                happened.set()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
            assert happened.wait(60)
        finally:
            ended.set()
            thread.join()
        assert not failures, failures

    def kill_one(self, random: Random) -> None:
        """kill -9, and a new start."""
        replica = random.choice(self.replicas)
        replica.kill()
        replica.start()

    def cut_connections(self) -> None:
        """Ends every connection of both replicas to the database."""
        self.postgres.cut_connections(self.url)


class StubbornClient:
    """Repeats what was not answered, under the same request ids, at the other replica."""

    def __init__(self, connect: Callable[[int], Client], turn: int) -> None:
        self._connect = connect
        self._turn = turn
        self.repeated = 0

    def insist(self, call: Callable[[Client], T], attempts: int = ATTEMPTS_MAX) -> T:
        """Makes a call until it is answered."""
        for _ in range(attempts):
            self._turn += 1
            try:
                with self._connect(self._turn - 1) as client:
                    return call(client)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.repeated += 1
            threading.Event().wait(PAUSE_S)
        raise AssertionError("no replica answered")

    def log(self, collection: str, content: Content) -> CommitVersionResponse:
        """Begin, negotiate, bring, commit; each call wherever its turn is."""
        begin_id, commit_id = new_request_id(), new_request_id()
        begun = self.insist(lambda client: client.begin(collection, id=begin_id))
        lease_id = begun.lease.lease_id
        if missing := self.insist(lambda client: client.missing_of(lease_id, content.chunks)):
            self.insist(lambda client: client.bring(lease_id, missing))
        return self.insist(lambda client: client.commit(begun, content, id=commit_id))
