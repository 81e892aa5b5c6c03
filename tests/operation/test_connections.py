"""Connections end after a while, so that clients find replicas that came back."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from operation.conftest import Flow
from support.tcp_proxy import TcpProxy


def test_connections_are_renewed_between_calls_and_no_call_fails(flow: Flow) -> None:
    proxy = TcpProxy(flow.registry.address)
    with grpc.insecure_channel(proxy.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while proxy.accepted < 3:
            assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    proxy.close()
