"""A replica that is stopped sends its clients to the other one; users notice nothing, however long its last call takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import holdfast
from holdfastpb.registry.v1 import pack_pb2, pack_pb2_grpc
from replicas.cluster import Cluster
from support.sdk_host import SdkHost
from support.tcp_proxy import TcpProxy


def log_one(run: holdfast.Run, content: str) -> str:
    artifact = holdfast.Artifact("data", "dataset")
    with artifact.new_file("a.txt") as file:
        file.write(content)
    return run.log_artifact(artifact).wait().version


def test_user_goes_on_while_a_replica_drains(cluster: Cluster, tmp_path: Path) -> None:
    leaving = cluster.replicas[0]
    balancer = TcpProxy(*(str(replica.socket) for replica in cluster.replicas))
    host = SdkHost(tmp_path / "host", {"HOLDFAST_DAEMON_REGISTRY": balancer.address})
    with grpc.insecure_channel(leaving.target) as channel, host.entered(), holdfast.init(project="p") as run:
        assert log_one(run, "one") == "v0"
        assert balancer.accepted == 1, "the daemon is connected with the one that will leave"
        let_go = threading.Event()
        held = hold_a_call(channel, let_go)
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(health).status == health_pb2.HealthCheckResponse.SERVING
        assert leaving.process is not None
        leaving.process.terminate()
        assert next(health).status == health_pb2.HealthCheckResponse.NOT_SERVING

        assert log_one(run, "two") == "v1"
        assert holdfast.Api().artifact("p/data:v1").version == "v1"
        assert leaving.process.poll() is None, "it waits for its last call all the while"
        let_go.set()
        assert held.exception() is not None
        assert leaving.wait() == 0
    balancer.close()


def hold_a_call(channel: grpc.Channel, let_go: threading.Event) -> grpc.Future:
    """Begins a stream that the registry must wait for; it takes its place among the calls before this returns."""

    def nothing() -> Iterator[pack_pb2.WritePackRequest]:
        let_go.wait(60)
        yield pack_pb2.WritePackRequest()

    call: grpc.Future = pack_pb2_grpc.PackServiceStub(channel).WritePack.future(nothing())
    # Over the same connection: the registry has read what came before it.
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return call
