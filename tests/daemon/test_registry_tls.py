"""Certificates of the daemon that are renewed while it runs."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio

from holdfast_daemon.registry_channel import RegistryChannel
from holdfast_daemon.registry_tls import RegistryTls, TlsFiles
from holdfast_registry.certificates import make_certificates


def test_files_are_taken_over_once_they_fit_each_other(tmp_path: Path) -> None:
    here, fresh = tmp_path / "here", tmp_path / "fresh"
    for folder in (here, fresh):
        make_certificates(folder, ["localhost"], ["me"], 30)
    files = TlsFiles(RegistryTls(here / "ca.pem", here / "client-me.pem", here / "client-me-key.pem"))
    assert not files.are_new()
    (fresh / "client-me-key.pem").rename(here / "client-me-key.pem")
    assert not files.are_new(), "the key of a certificate that is not there yet"
    (fresh / "client-me.pem").rename(here / "client-me.pem")
    assert files.are_new()
    assert not files.are_new()
    (here / "ca.pem").unlink()
    assert not files.are_new()
    (fresh / "ca.pem").rename(here / "ca.pem")
    assert files.are_new()


async def test_call_that_is_under_way_ends_over_the_channel_where_it_began(tmp_path: Path) -> None:
    servers = [await served(tmp_path / name, name.encode()) for name in ("old", "new")]
    targets = iter(f"unix:{tmp_path / name}" for name in ("old", "new"))
    channel = RegistryChannel(lambda: grpc.aio.insecure_channel(next(targets)))
    ask, tell = channel.unary_unary("/s/Ask"), channel.unary_stream("/s/Tell")
    assert await ask(b"") == b"old"
    telling = tell(b"")
    assert await telling.read() == b"old"
    channel.renew()
    assert await ask(b"") == b"new"
    assert await telling.read() == b"old"
    assert await telling.read() is grpc.aio.EOF
    await channel.close()
    for server in servers:
        await server.stop(None)


async def served(path: Path, name: bytes) -> grpc.aio.Server:
    """A server that answers with its name, once and twice."""

    async def ask(request: bytes, context: object) -> bytes:
        return name

    async def tell(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        for _ in range(2):
            await context.write(name)

    server = grpc.aio.server()
    handlers = {"Ask": grpc.unary_unary_rpc_method_handler(ask), "Tell": grpc.unary_stream_rpc_method_handler(tell)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", handlers),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    return server
