"""What one registry promises holds for two that share a database: numbers, names, single storage, one effect for each request."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import grpc
import pytest

from holdfastpb.registry.v1.version_pb2 import UpdateVersionRequest, Version
from registry.client import Client, content_of, error_of, new_request_id
from registry.processes import RegistryProcess, run_registry
from replicas.cluster import Cluster
from support.figures import figure

WRITERS, EACH = figure(8, 64), figure(3, 50)
SAME_FILES = figure(20, 100)
KILL_PAUSE_S = 0.3
CUT_PAUSE_S = 1.0
"""Long enough for some calls to come through between two cuts, also on a machine that is busy."""


def write_all(cluster: Cluster) -> list[int]:
    """Many writers on both replicas; returns the numbers that they got."""

    def write(writer: int) -> list[int]:
        client = cluster.client(writer)
        return [
            client.log("c", content_of({"n": f"{writer}/{number}".encode()})).version.version_index
            for number in range(EACH)
        ]

    with ThreadPoolExecutor(WRITERS) as pool:
        return [number for mine in pool.map(write, range(WRITERS)) for number in mine]


def check_numbers(cluster: Cluster, numbers: list[int]) -> None:
    """Each version was made once, and both replicas tell the same of it."""
    assert sorted(numbers) == list(range(WRITERS * EACH))
    for replica in cluster.replicas:
        with Client(replica.target) as client:
            assert client.list_versions("c").total_count == WRITERS * EACH
            assert client.resolve("c").version_index == WRITERS * EACH - 1


def test_numbers_have_no_gap_while_replicas_are_killed(cluster: Cluster) -> None:
    random = Random(1)
    with cluster.faults(lambda: cluster.kill_one(random), KILL_PAUSE_S):
        numbers = write_all(cluster)
    check_numbers(cluster, numbers)


def test_versions_are_made_once_while_connections_to_the_database_are_cut(cluster: Cluster) -> None:
    with cluster.faults(cluster.cut_connections, CUT_PAUSE_S):
        numbers = write_all(cluster)
    check_numbers(cluster, numbers)


def outcome_of(change: Callable[[], object]) -> str:
    """OK, or ETAG_MISMATCH; nothing else may be."""
    try:
        change()
    except grpc.RpcError as error:
        refused = error
    else:
        return "OK"
    assert error_of(refused).reason == "ETAG_MISMATCH"
    return "ETAG_MISMATCH"


def test_change_that_compares_is_lost_by_all_but_one(cluster: Cluster) -> None:
    """Every writer raises a number by one, by compare-and-swap: nothing is lost only if nobody has seen what was past."""
    with Client(cluster.replicas[0].target) as client:
        version_id = client.log_files("c", {"a": b"1"}, metadata_json=b'{"n": 0}').version_id
    writers, each = figure(8, 64), figure(5, 50)

    def raise_by_one(client: Client) -> bool:
        seen = client.get(version_id)
        count = int(seen.metadata_json.decode().split(":")[1].rstrip("}")) + 1
        request = UpdateVersionRequest(
            request_id=new_request_id(),
            version_id=version_id,
            expected_etag=seen.etag,
            set_metadata=True,
            metadata_json=b'{"n": %d}' % count,
            aliases_to_add=[f"n{count}"],
        )
        return outcome_of(lambda: client.call(client.versions.UpdateVersion, request)) == "OK"

    def write(writer: int) -> None:
        done = 0
        targets = itertools.cycle(cluster.replicas[writer % 2 :] + cluster.replicas[: writer % 2])
        while done < each:
            with Client(next(targets).target) as client:
                done += raise_by_one(client)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    with Client(cluster.replicas[1].target) as client:
        seen = client.get(version_id)
    assert seen.metadata_json == b'{"n": %d}' % (writers * each)
    assert set(seen.aliases) == {"latest", *(f"n{number}" for number in range(1, writers * each + 1))}


def test_alias_is_at_one_version_whoever_moves_it(cluster: Cluster) -> None:
    with Client(cluster.replicas[0].target) as client:
        versions = [client.log_files("c", {"a": b"%d" % number}) for number in range(4)]

    def move(writer: int) -> None:
        with Client(cluster.replicas[writer % 2].target) as client:
            for number in range(figure(10, 500)):
                moved = client.update(versions[(writer + number) % 4].version_id, aliases_to_add=["best"])
                assert "best" in moved.aliases, "the answer shows the change"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(move, range(8)))
    holders = [[v for v in client_versions(replica) if "best" in v.aliases] for replica in cluster.replicas]
    assert [len(held) for held in holders] == [1, 1]
    assert holders[0][0].version_id == holders[1][0].version_id


def client_versions(replica: RegistryProcess) -> list[Version]:
    with Client(replica.target) as client:
        return list(client.list_versions("c").versions)


def test_equal_content_is_stored_once_and_makes_one_version(cluster: Cluster) -> None:
    content = content_of({f"f{number}": b"file %d" % number for number in range(SAME_FILES)})

    def write(writer: int) -> bool:
        return bool(cluster.client(writer).log("c", content).created)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1
    assert cluster.count("chunk") == len(content.chunks)
    assert cluster.count("collection") == cluster.count("entity") == cluster.count("project") == 1


def test_request_that_comes_twice_at_once_has_one_effect_and_one_answer(cluster: Cluster) -> None:
    clients = [Client(replica.target) for replica in cluster.replicas]
    for number in range(figure(8, 200)):
        one, other = everything_twice(clients, f"c{number}")
        assert one == other
    for client in clients:
        client.__exit__()


def everything_twice(clients: list[Client], name: str) -> list[list[bytes]]:
    """Begins, commits and links one version by each client at the same moments; returns what each was answered."""
    content = content_of({"a": b"1"})
    begin_id, commit_id, link_id = new_request_id(), new_request_id(), new_request_id()
    barrier = threading.Barrier(2)

    def write(client: Client) -> list[bytes]:
        barrier.wait()
        begun = client.begin(name, id=begin_id)
        barrier.wait()
        if client is clients[0]:
            client.bring(begun.lease.lease_id, content.chunks)
        barrier.wait()
        committed = client.commit(begun, content, id=commit_id, aliases=["best"])
        barrier.wait()
        linked = client.link(committed.version.version_id, f"p{name}", id=link_id)
        return [message.SerializeToString(deterministic=True) for message in (begun, committed, linked)]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(write, clients))


def test_what_one_replica_has_answered_the_other_knows(cluster: Cluster) -> None:
    one, other = (Client(replica.target) for replica in cluster.replicas)
    for number in range(figure(10, 500)):
        version = one.log_files("c", {"a": b"%d" % number})
        assert other.resolve("c").version_id == version.version_id
        assert other.missing_of(other.begin("d").lease.lease_id, content_of({"a": b"%d" % number}).chunks) == []
        one, other = other, one
    for client in (one, other):
        client.__exit__()


def test_shared_packs_need_a_shared_database(tmp_path: Path) -> None:
    settings = {"HOLDFAST_REGISTRY_STORE_DIR": str(tmp_path / "store")}
    process = RegistryProcess(tmp_path, environment=settings)
    with pytest.raises(AssertionError, match="database_url"):
        process.start()
    assert process.wait() == 78
    assert run_registry("config").returncode == 0
