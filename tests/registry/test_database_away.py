"""A PostgreSQL that does not answer any more costs each call seconds, not its patience; the registry says so, and goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from registry.client import Client, content_of, error_of, new_request_id
from registry.processes import RegistryProcess
from support.postgres import Postgres

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def test_calls_are_refused_at_once_while_the_database_stands_still_and_taken_when_it_goes_on(
    tmp_path: Path, postgres: Postgres
) -> None:
    """A client gives up after 30 s, and a lost connection is noticed after 35: who is told was told early."""
    with RegistryProcess(tmp_path, database_url=postgres.new_database()) as process, Client(process.target) as client:
        content, begun, commit_id = content_of({"a": b"1"}), client.begin("c"), new_request_id()
        client.bring(begun.lease.lease_id, content.chunks)
        with grpc.insecure_channel(process.target) as channel, ThreadPoolExecutor(1) as pool:
            health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(health).status == SERVING
            with postgres.frozen():
                waiting = pool.submit(client.commit, begun, content, id=commit_id)
                assert next(health).status == NOT_SERVING
                for call in (waiting.result, lambda: client.begin("c")):
                    check_refused(call)
            assert next(health).status == SERVING
            health.cancel()
        committed = client.commit(begun, content, id=commit_id)
        assert (committed.created, committed.version.version_index) == (True, 0)
        assert client.log_files("c", {"a": b"2"}).version_index == 1


def check_refused(call: Callable[[], object]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert error_of(caught.value).retry_after_ms > 0
