"""The channel itself: every call over it ends, whatever happens to the other side."""

import queue
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from holdfast._grpc_channel import new_channel
from support.figures import figure

METHOD = "/test.Echo/Echo"
END_S_MAX = 0.01
"""About as long as a connection and a few streams take: most ends come while a stream begins."""
PATIENCE_S = 30.0


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # the stubs make it generic, the class is not
    """Sends every message back."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.stream_stream_rpc_method_handler(lambda requests, _: (request for request in requests))


def test_no_stream_hangs_that_begins_while_its_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # sockets need a short path
    rng = random.Random(11)
    with ThreadPoolExecutor(4) as handlers, ThreadPoolExecutor(1) as user:
        for number in range(figure(100, 3000)):
            target = f"unix:{number}"
            server = grpc.server(handlers, handlers=(Echo(),))
            server.add_insecure_port(target)
            server.start()
            end = threading.Timer(rng.uniform(0, END_S_MAX), server.stop, [None])
            channel = new_channel(target)
            ended = user.submit(stream_until_it_fails, channel)
            end.start()
            try:
                assert ended.result(PATIENCE_S) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            finally:
                channel.close()
                end.join()


def stream_until_it_fails(channel: grpc.Channel) -> grpc.StatusCode:
    """Begins one stream after the other, as sessions do; returns how the last one ended."""
    while True:
        messages: queue.Queue[bytes | None] = queue.Queue()
        messages.put(b"x")
        try:
            answers: Iterator[bytes] = channel.stream_stream(METHOD)(iter(messages.get, None))
            assert next(answers) == b"x"
            messages.put(None)
            assert next(answers, None) is None
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()  # type: ignore[attr-defined]
            return code
        finally:
            messages.put(None)
