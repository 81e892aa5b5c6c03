"""TLS of the registry: who gets in, and that health is told without a token."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from holdfast_registry.certificates import make_certificates
from holdfastpb.registry.v1 import access_pb2, access_pb2_grpc, pack_pb2, pack_pb2_grpc
from registry.processes import RegistryProcess, run_registry
from support.own_registry import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    os.chmod(tmp_path, 0o700)
    return tmp_path


class TlsRegistry:
    """A registry that serves TLS on 127.0.0.1, known as localhost."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.certs = folder / "certs"
        make_certificates(self.certs, ["localhost", "127.0.0.1"], ["laptop"], 30)
        make_certificates(folder / "strangers", ["localhost"], ["laptop"], 30)
        self.strangers = folder / "strangers"
        self.token = run_registry("init", "--data-dir", str(folder / "data")).stdout.strip()
        self.address = f"localhost:{free_port()}"
        listen = ("--listen", self.address.replace("localhost", "127.0.0.1"))
        pair = ("--tls-cert", str(self.certs / "server.pem"), "--tls-key", str(self.certs / "server-key.pem"))
        self.process = RegistryProcess(folder, *listen, *pair, *more)

    def code(self, credentials: grpc.ChannelCredentials | None, address: str | None = None) -> grpc.StatusCode:
        """How a call ends."""
        where = address or self.address
        channel = grpc.insecure_channel(where) if credentials is None else grpc.secure_channel(where, credentials)
        with channel:
            metadata = (("authorization", f"Bearer {self.token}"),)
            try:
                access_pb2_grpc.AccessServiceStub(channel).WhoAmI(
                    access_pb2.WhoAmIRequest(), timeout=20, metadata=metadata
                )
            except grpc.RpcError as error:
                return error.code()  # type: ignore[attr-defined, no-any-return]  # a call's error has one
        return grpc.StatusCode.OK

    def trusting(self, folder: Path, client: Path | None = None) -> grpc.ChannelCredentials:
        files = (
            [(client / name).read_bytes() for name in ("client-laptop-key.pem", "client-laptop.pem")] if client else []
        )
        return grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *files)


@pytest.fixture
def served(folder: Path) -> Iterator[TlsRegistry]:
    registry = TlsRegistry(folder)
    with registry.process:
        yield registry


def test_only_who_knows_the_authority_and_calls_the_right_name_connects(served: TlsRegistry) -> None:
    assert served.code(served.trusting(served.certs)) is grpc.StatusCode.OK
    assert (
        served.code(served.trusting(served.certs), served.address.replace("localhost", "127.0.0.1"))
        is grpc.StatusCode.OK
    )
    assert served.code(served.trusting(served.strangers)) is grpc.StatusCode.UNAVAILABLE
    assert (
        served.code(served.trusting(served.certs), served.address.replace("localhost", "127.0.0.2"))
        is grpc.StatusCode.UNAVAILABLE
    )
    assert served.code(None) is grpc.StatusCode.UNAVAILABLE


def test_registry_that_asks_for_certificates_takes_those_of_its_authority(folder: Path) -> None:
    registry = TlsRegistry(folder, "--tls-client-ca", str(folder / "certs" / "ca.pem"))
    with registry.process:
        assert registry.code(registry.trusting(registry.certs, registry.certs)) is grpc.StatusCode.OK
        assert registry.code(registry.trusting(registry.certs)) is grpc.StatusCode.UNAVAILABLE
        assert registry.code(registry.trusting(registry.certs, registry.strangers)) is grpc.StatusCode.UNAVAILABLE


def replaced(folder: Path, new: Path, *names: str) -> None:
    for name in names:
        (new / name).rename(folder / name)


def test_renewed_certificates_count_for_the_next_connection_and_halves_of_them_do_not(folder: Path) -> None:
    """The authority of clients, too; calls on a connection that is there go on."""
    registry = TlsRegistry(folder, "--tls-client-ca", str(folder / "certs" / "ca.pem"))
    old = registry.trusting(registry.certs, registry.certs)
    fresh = folder / "fresh"
    make_certificates(fresh, ["localhost"], ["laptop"], 30)
    new = registry.trusting(fresh, fresh)
    with registry.process, grpc.secure_channel(registry.address, old) as channel:
        access = access_pb2_grpc.AccessServiceStub(channel)
        metadata = (("authorization", f"Bearer {registry.token}"),)
        access.WhoAmI(access_pb2.WhoAmIRequest(), timeout=20, metadata=metadata)
        replaced(registry.certs, fresh, "server-key.pem")
        assert registry.code(old) is grpc.StatusCode.OK, "a key without its certificate is not taken over"
        replaced(registry.certs, fresh, "server.pem", "ca.pem")
        assert registry.code(new) is grpc.StatusCode.OK
        assert registry.code(old) is grpc.StatusCode.UNAVAILABLE
        access.WhoAmI(access_pb2.WhoAmIRequest(), timeout=20, metadata=metadata)
        (registry.certs / "server.pem").write_text("torn")
        assert registry.code(new) is grpc.StatusCode.OK


def test_health_is_told_without_a_token_and_ends_with_the_service(served: TlsRegistry) -> None:
    with grpc.secure_channel(served.address, served.trusting(served.certs)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "holdfast.registry.v1.VersionService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watched = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        assert served.process.stop() == 0, "somebody who watches does not keep it from ending"


def test_registry_that_drains_lets_a_call_over_tls_end_and_takes_no_new_ones(served: TlsRegistry) -> None:
    metadata = (("authorization", f"Bearer {served.token}"),)
    let_go = threading.Event()

    def nothing() -> Iterator[pack_pb2.WritePackRequest]:
        let_go.wait(60)
        yield pack_pb2.WritePackRequest()

    with grpc.secure_channel(served.address, served.trusting(served.certs)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        held = pack_pb2_grpc.PackServiceStub(channel).WritePack.future(nothing(), metadata=metadata)
        watched = health.Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        assert served.process.process is not None
        served.process.process.terminate()
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert served.code(served.trusting(served.certs)) is grpc.StatusCode.UNAVAILABLE
        assert served.process.process.poll() is None, "it waits for its last call"
        let_go.set()
        failed = held.exception()
        assert failed is not None
        assert failed.code() is grpc.StatusCode.FAILED_PRECONDITION, (
            "it was answered (there is no such lease), not cut off"
        )
        assert served.process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "without TLS"),
        (("--tls-cert", "nowhere.pem"), "both tls_cert and tls_key"),
        (("--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"), "nowhere.pem cannot be read"),
        (("--tls-cert", "{certs}/server.pem", "--tls-key", "{certs}/ca-key.pem"), "check both files"),
    ],
)
def test_port_that_cannot_be_served_safely_is_not_opened(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    make_certificates(folder / "certs", ["localhost"], [], 30)
    data = str(folder / "data")
    run_registry("init", "--data-dir", data)
    given = [text.format(certs=folder / "certs") for text in arguments]
    done = run_registry("serve", "--data-dir", data, "--listen", f"0.0.0.0:{free_port()}", *given)
    assert done.returncode == 78
    assert says in done.stderr


def test_certificates_are_made_anew_under_the_authority_that_is_there(folder: Path) -> None:
    made = run_registry("certs", str(folder / "c"), "--host", "registry.example.org", "--host", "::1")
    assert made.returncode == 0, made.stderr
    paths = {Path(line).name for line in made.stdout.splitlines()}
    assert paths == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}
    assert {path.stat().st_mode & 0o777 for path in (folder / "c").iterdir()} == {0o600}
    authority = (folder / "c" / "ca.pem").read_bytes()
    again = run_registry("certs", str(folder / "c"), "--client", "laptop")
    assert {Path(line).name for line in again.stdout.splitlines()} == {"client-laptop.pem", "client-laptop-key.pem"}
    assert (folder / "c" / "ca.pem").read_bytes() == authority
    context = ssl.create_default_context(cafile=str(folder / "c" / "ca.pem"))
    context.load_cert_chain(folder / "c" / "client-laptop.pem", folder / "c" / "client-laptop-key.pem")
    assert run_registry("certs", str(folder / "c")).returncode == 78


def test_tokens_are_managed_at_a_registry_that_runs(served: TlsRegistry, folder: Path) -> None:
    token_file = folder / "token"
    token_file.write_text(served.token + "\n")
    at = ["--address", served.address, "--token-file", str(token_file), "--ca-file", str(served.certs / "ca.pem")]
    made = run_registry("token", "create", "--name", "ci", "--role", "writer", "--scope", "team/vision", *at)
    assert made.stdout.startswith("hf_reg_"), made.stderr
    assert made.stdout.strip() not in made.stderr
    listed = run_registry("token", "list", *at).stdout
    assert "writer of team/vision" in listed
    assert "admin of everything" in listed
    rotated = run_registry("token", "rotate", "2", "--grace-s", "0", *at)
    assert rotated.stdout.startswith("hf_reg_"), rotated.stderr
    assert run_registry("token", "revoke", "3", *at).returncode == 0
    assert run_registry("token", "revoke", "77", *at).returncode == 78
    told = run_registry("audit", "--json", *at).stdout
    assert [line.count('"outcome": "OK"') for line in told.splitlines()] == [1, 1, 1, 0]
    assert "hf_reg_" not in told
    served.process.stop()
    offline = run_registry("token", "list", "--all", "--data-dir", str(folder / "data")).stdout
    assert offline.count("revoked") == 1


def test_certificate_that_has_ended_is_refused(folder: Path) -> None:
    registry = TlsRegistry(folder)
    make_certificates(registry.certs, ["localhost"], [], 1, datetime.now(UTC) - timedelta(days=2))
    with registry.process:
        assert registry.code(registry.trusting(registry.certs)) is grpc.StatusCode.UNAVAILABLE
