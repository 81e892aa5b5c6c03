"""Two replicas over PostgreSQL and S3 keep what one registry promises, behind a balancer, while either is killed at any time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import grpc
import pytest

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfastpb.registry.v1 import access_pb2, access_pb2_grpc
from holdfastpb.registry.v1.version_pb2 import ResolveVersionRequest, Version
from registry.client import Client, content_of, error_of, new_request_id
from registry.kept import Kept, credentials
from registry.permissions import Answer, Things, ask, request_for, things_of
from registry.test_permissions import NEEDED, check_answer, tokens_of_all_kinds
from replicas.balanced import Balanced
from replicas.cluster import PAUSE_S, StubbornClient
from support.figures import figure
from support.linearizability import ANY, Moved, Operation, Refused, Seen, Step, is_linearizable
from support.log_client import LogClient, LogSession, bytes_record, tree_record
from support.postgres import Postgres
from support.processes import Host
from support.seaweedfs import SeaweedFS
from support.tcp_proxy import Fault
from support.trees import random_bytes, write_tree

WRITERS, EACH = figure(4, 64), figure(3, 200)
HISTORIES, CLIENTS, STEPS = figure(2, 1000), 4, 9
ALIASES = ("best", "good", "next")
SAME_FILES = figure(20, 100)
COMMITS = figure(16, 10_000)
IDLE, SILENT, GREEDY, HEALTHY = figure(20, 200), figure(4, 50), figure(1, 5), figure(4, 100)
RATE = 5.0
CALLS_AT_ONCE = 50
OWN = [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES]
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)]
CONTENTS = 12
"""That the daemons choose from: each is deleted, collected, logged again and named by others many times."""
KILL_PAUSE_S = 2.0
DISTURB_PAUSE_S = 1.0
PATIENCE_S = 60
SETTINGS = {
    "HOLDFAST_REGISTRY_GC_INTERVAL_S": "0.4",
    "HOLDFAST_REGISTRY_GC_GRACE_S": "0",
    "HOLDFAST_REGISTRY_UNDELETE_WINDOW_S": "0",
    "HOLDFAST_REGISTRY_GC_REMOVAL_DELAY_S": "0",
    "HOLDFAST_REGISTRY_GC_PAUSE_S": "0",
    "HOLDFAST_REGISTRY_SCRUB_INTERVAL_S": "1",
    "HOLDFAST_REGISTRY_SCRUB_BYTES_PER_S": "1000000000",
    "HOLDFAST_REGISTRY_STREAM_IDLE_S": "2",
}

pytestmark = pytest.mark.timeout(figure(180, 7200))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, seaweedfs: SeaweedFS) -> Iterator[Balanced]:
    folder = tmp_path_factory.mktemp("balanced")
    kept = Kept(folder, postgres, seaweedfs)
    with credentials(kept), Balanced(folder, postgres, kept, SETTINGS) as cluster:
        yield cluster
        # Nobody collects any more: beside one that removes packs at once, a check finds packs gone that it has just heard of.
        assert [replica.stop() for replica in cluster.replicas] == [0, 0]
        report = kept.fsck()
        assert report.is_clean, report.findings


@pytest.fixture(scope="module")
def hosts(cluster: Balanced) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        hosts = [cluster.host(name) for name in ("one", "other")]
        for host in hosts:
            stack.callback(host.close)
            host.start()
        yield hosts


@contextmanager
def kills(cluster: Balanced) -> Iterator[None]:
    random = Random(3)
    with cluster.faults(lambda: cluster.kill_one(random), KILL_PAUSE_S):
        yield


def test_numbers_are_unique_and_without_gaps(cluster: Balanced) -> None:
    def write(writer: int) -> list[int]:
        client = cluster.client(writer)
        contents = [content_of({"n": f"{writer}/{number}".encode()}) for number in range(EACH)]
        return [client.log("numbers", content).version.version_index for content in contents]

    with kills(cluster), ThreadPoolExecutor(WRITERS) as pool:
        numbers = [number for mine in pool.map(write, range(WRITERS)) for number in mine]
    assert sorted(numbers) == list(range(WRITERS * EACH))
    for address in cluster.addresses:
        with Client(address, cluster.token) as client:
            assert client.list_versions("numbers").total_count == WRITERS * EACH


class Mover:
    """One client that reads and moves aliases of three versions, and notes what it was answered and when."""

    def __init__(self, client: StubbornClient, random: Random, collection: str, versions: list[str]) -> None:
        self._client = client
        self._random = random
        self._collection = collection
        self._versions = versions
        self._etags: dict[int, str] = {}
        self.history: list[Operation] = []

    def go(self) -> None:
        for _ in range(STEPS):
            start_s = time.monotonic()
            step = self._random.choice((self._get, self._resolve, self._move, self._move))()
            self.history.append(Operation(start_s, time.monotonic(), step))

    def _seen(self, version: Version) -> Seen:
        number = self._versions.index(version.version_id)
        self._etags[number] = version.etag
        return Seen(number, version.etag, frozenset(version.aliases))

    def _get(self) -> Step:
        version_id = self._random.choice(self._versions)
        return self._seen(self._client.insist(lambda client: client.get(version_id)))

    def _resolve(self) -> Step:
        alias = self._random.choice(ALIASES)
        return self._seen(self._client.insist(lambda client: client.resolve(self._collection, alias)))

    def _move(self) -> Step:
        number, alias = self._random.randrange(len(self._versions)), self._random.choice(ALIASES)
        expected, request_id = self._etags.get(number, ""), new_request_id()

        def update(client: Client) -> Version:
            fields = {"aliases_to_add": [alias], "expected_etag": expected}
            return client.update(self._versions[number], id=request_id, **fields)

        try:
            moved = self._client.insist(update)
        except grpc.RpcError as error:
            if error_of(error).reason != "ETAG_MISMATCH":
                raise
            return Refused(number, expected)
        return Moved(number, frozenset({alias}), expected, self._seen(moved))


def test_aliases_move_by_compare_and_swap_and_reads_are_linearizable(cluster: Balanced) -> None:
    setter = cluster.client(0)
    refused = 0
    with kills(cluster), ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(HISTORIES):
            name = f"moved{number}"
            contents = [content_of({"n": b"%d" % at}) for at in range(3)]
            ids = [setter.log(name, content).version.version_id for content in contents]
            first = setter.insist(lambda client, last=ids[-1]: client.update(last, aliases_to_add=ALIASES))  # type: ignore[misc]
            initial = ((ANY, frozenset()), (ANY, frozenset()), (first.etag, frozenset(first.aliases)))
            movers = [Mover(cluster.client(at), Random(f"{number}/{at}"), name, ids) for at in range(CLIENTS)]
            list(pool.map(Mover.go, movers))
            history = [operation for mover in movers for operation in mover.history]
            assert is_linearizable(initial, history), history
            refused += sum(isinstance(operation.step, Refused) for operation in history)
    assert refused, "nobody was in another's way"


# --- with daemons -----------------------------------------------------------------------------------------------------


@contextmanager
def disturbances(cluster: Balanced) -> Iterator[None]:
    random = Random(5)
    with cluster.faults(lambda: cluster.disturb(random), DISTURB_PAUSE_S):
        yield
    cluster.balancer.set_fault(Fault())


def log_tree(host: Host, collection: str, folder: Path) -> tuple[Version, bool, int]:
    """Returns the version, whether it was made by this, and the bytes that were sent for it."""
    with LogClient(host.places) as client:
        session = LogSession(collection)
        session.attach(client)
        session.send([tree_record(folder)])
        session.finalize()
        answer = client.wait(session.session_id)
    assert not answer.HasField("error"), answer.error
    return answer.version, answer.created, answer.progress.bytes_sent


def test_damaged_pack_is_healed_by_logging_the_same_unchanged_files_again(
    cluster: Balanced, hosts: list[Host], tmp_path: Path
) -> None:
    tree = {f"{n}": random_bytes(20_000, 1000 + n) for n in range(5)}
    source = write_tree(tmp_path / "in", tree)
    version, _, _ = log_tree(hosts[0], "healed", source)
    cluster.kill_all()  # what they have in memory they would repair it from
    packs = {pack_id: cluster.kept.read(pack_id) for pack_id in cluster.kept.packs()}
    [pack_id] = [pack_id for pack_id, data in packs.items() if tree["0"] in data]
    damaged = bytearray(packs[pack_id])
    damaged[damaged.index(tree["0"]) + 100] ^= 1
    cluster.kept.write(pack_id, bytes(damaged))
    wait_until(lambda: [hurt.name for hurt in cluster.scrub_status().hurt] == ["local/crash/healed:v0"])
    again, created, _ = log_tree(hosts[0], "healed", source)
    assert (again.version_id, created) == (version.version_id, False)
    wait_until(lambda: not cluster.scrub_status().hurt)


def test_same_files_logged_by_two_daemons_are_stored_once(cluster: Balanced, hosts: list[Host], tmp_path: Path) -> None:
    tree = {f"{n}": random_bytes((10_000, 100_000)[n % 2], n) for n in range(SAME_FILES)}
    source = write_tree(tmp_path / "in", tree)
    unique_bytes = sum(map(len, tree.values()))
    before = chunk_bytes(cluster)
    with kills(cluster), ThreadPoolExecutor(2 * len(hosts)) as pool:
        logged = list(pool.map(lambda host: log_tree(host, "same", source), [*hosts, *hosts]))
    assert {version.version_id for version, _, _ in logged} == {logged[0][0].version_id}
    assert sum(created for _, created, _ in logged) == 1
    assert chunk_bytes(cluster) - before <= 1.02 * unique_bytes
    sent = sum(sent for _, _, sent in logged)
    print(f"{unique_bytes} bytes, {sent / unique_bytes:.3f} sent by two daemons")
    assert sent <= 2.02 * unique_bytes, "by each daemon once, at most"


def chunk_bytes(cluster: Balanced) -> int:
    return int(cluster.kept.execute("SELECT coalesce(sum(stored_length), 0) FROM chunk")[0])


class Reuser(threading.Thread):
    """Logs a content by a daemon, deletes the version most of the time, and goes on: the next one names the same chunks."""

    def __init__(self, cluster: Balanced, host: Host, number: int, commits: int) -> None:
        super().__init__()
        self._deleter = cluster.client(number)
        self._host = host
        self._random = Random(number)
        self._commits = commits
        self.created = 0
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            with LogClient(self._host.places) as client:
                for _ in range(self._commits):
                    self._log(client)
        except (grpc.RpcError, AssertionError) as error:  # a thread's failure must reach the test
            self.problem = error

    def _log(self, client: LogClient) -> None:
        session = LogSession(f"reused{self._random.randrange(2)}")
        session.attach(client)
        chosen = self._random.sample(range(CONTENTS), 4)
        session.send([bytes_record(f"f{number}", random_bytes(20_000, number)) for number in chosen])
        session.finalize()
        answer = client.wait(session.session_id)
        assert not answer.HasField("error"), answer.error
        self.created += answer.created
        if self._random.random() < 0.85:
            self._delete(answer.version.version_id)

    def _delete(self, version_id: str) -> None:
        try:
            self._deleter.insist(lambda client: client.delete(version_id, delete_aliases=True))
        except grpc.RpcError as error:
            if (
                error_of(error).reason != "NOT_FOUND"
            ):  # another one, or this request before its answer was lost, was first
                raise


def test_collection_without_grace_takes_nothing_that_daemons_name_again(cluster: Balanced, hosts: list[Host]) -> None:
    reusers = [Reuser(cluster, hosts[number % 2], number, COMMITS // 4) for number in range(4)]
    with disturbances(cluster):
        for reuser in reusers:
            reuser.start()
        for reuser in reusers:
            reuser.join()
    assert [reuser.problem for reuser in reusers if reuser.problem] == []
    assert sum(reuser.created for reuser in reusers) > COMMITS // 2
    logs = "".join(replica.log.read_text() for replica in cluster.replicas)
    assert logs.count("garbage collected") > 2, "it must have gone on meanwhile"


def test_every_rpc_lets_in_whom_the_matrix_lets_in_at_both_replicas_while_they_are_killed(cluster: Balanced) -> None:
    with Client(cluster.balancer.address, cluster.token) as admin:
        access = access_pb2_grpc.AccessServiceStub(admin.channel)
        things = things_of(admin, access, "team", "vision")
        things_of(admin, access, "team", "other")
        things_of(admin, access, "else", "vision")
        tokens = tokens_of_all_kinds(admin, access) | {"everything": cluster.token, "none": ""}
    ending = {"VersionService/AbortVersion", "VersionService/CommitVersion", "VersionService/AddPart"}
    names = Random(20).sample(sorted(set(NEEDED) - ending), figure(12, len(NEEDED) - len(ending)))
    channels = [grpc.insecure_channel(address, [*RECONNECT, *OWN]) for address in cluster.addresses]
    with kills(cluster):
        for number, (name, caller) in enumerate(itertools.product(names, tokens)):
            answer = asked(channels, number, name, things, tokens[caller])
            check_answer(name, caller, answer)
    for channel in channels:
        channel.close()


def asked(channels: list[grpc.Channel], number: int, name: str, things: Things, token: str) -> Answer:
    """What one replica answers, or the other when that one has just been killed."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(grpc.RpcError):
            answer = ask(channels[number % 2], name, request_for(name, things), token)
            if answer.reason != "UNAVAILABLE":
                return answer
        assert time.monotonic() < deadline_s, "no replica answers"
        number += 1
        threading.Event().wait(PAUSE_S)


def test_healthy_clients_work_beside_idle_silent_and_greedy_ones_while_replicas_are_killed(cluster: Balanced) -> None:
    host, port = cluster.balancer.address.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(IDLE)]
    client = cluster.client(0)
    for number in range(GREEDY):
        limit = access_pb2.SetQuotaRequest(entity=f"greedy{number}", set_rate=True, requests_per_s=RATE)
        assert (
            client.insist(
                lambda one, limit=limit: ask(one.channel, "AccessService/SetQuota", limit, cluster.token)
            ).reason
            == ""
        )
    ended = threading.Event()
    with ThreadPoolExecutor(SILENT + GREEDY) as pool:
        with kills(cluster):
            silent = [pool.submit(says_nothing, cluster.balancer.address, cluster.token, ended) for _ in range(SILENT)]
            greedy = [pool.submit(wants_more, cluster, number) for number in range(GREEDY)]
            made = [client.log("healthy", content_of({"n": b"%d" % number})) for number in range(HEALTHY)]
            told = [future.result() for future in silent]
            assert [future.result() for future in greedy] == ["RATE_LIMITED"] * GREEDY
        assert set(told) <= {"DEADLINE", "UNAVAILABLE"}
        for address in cluster.addresses:
            assert pool.submit(says_nothing, address, cluster.token, ended).result() == "DEADLINE"
        ended.set()
    assert [one.version.version_index for one in made] == list(range(HEALTHY))
    for connection in idle:
        connection.close()


def says_nothing(address: str, token: str, ended: threading.Event) -> str:
    """Begins a call whose message does not come; returns how it ends."""

    def nothing() -> Iterator[ResolveVersionRequest]:
        ended.wait()
        yield from ()

    path = "/holdfast.registry.v1.VersionService/ResolveVersion"
    with grpc.insecure_channel(address, OWN) as channel:
        call = channel.stream_unary(path, ResolveVersionRequest.SerializeToString)
        metadata = (("authorization", f"Bearer {token}"),)
        error = call.future(nothing(), timeout=PATIENCE_S, metadata=metadata).exception()
        assert error is not None
        return "UNAVAILABLE" if error.code() is grpc.StatusCode.UNAVAILABLE else error_of(error).reason


def wants_more(cluster: Balanced, number: int) -> str:
    """Makes calls as fast as it can until it is told to wait; a replica that was killed has forgotten what it had counted."""
    request = access_pb2.CreateTokenRequest(name="greedy", role="writer", entity=f"greedy{number}")
    made = cluster.client(number).insist(
        lambda one: ask(one.channel, "AccessService/CreateToken", request, cluster.token)
    )
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(grpc.RpcError), Client(cluster.addresses[number % 2]) as one:
            for _ in range(CALLS_AT_ONCE):
                answer = ask(one.channel, "AccessService/WhoAmI", access_pb2.WhoAmIRequest(), made.response.secret)
                if answer.reason == "RATE_LIMITED":
                    return answer.reason
    return "nothing was refused"


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)
