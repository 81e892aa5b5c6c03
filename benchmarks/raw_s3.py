"""What the S3 server itself gives: PUT and GET of whole objects by eight connections, with nothing made of the bytes.

A process of its own per transfer direction, so that it has the machine as a daemon has it: `python raw_s3.py TASK` prints JSON.
"""

import http.client
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 8
BLOCK_BYTES = 1 << 20


def put(task: dict[str, Any]) -> None:
    """Sends a file in objects of `object_bytes`."""
    descriptor = os.open(task["file"], os.O_RDONLY)
    threads = local()

    def send(at_url: tuple[int, str]) -> None:
        at, url = at_url
        length = min(task["object_bytes"], task["size_bytes"] - at)
        connection = _connection(threads, url)
        connection.putrequest("PUT", _target(url))
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        for offset in range(at, at + length, BLOCK_BYTES):
            connection.send(os.pread(descriptor, min(BLOCK_BYTES, at + length - offset), offset))
        _done(connection, 200)

    _all(send, [(number * task["object_bytes"], url) for number, url in enumerate(task["urls"])])


def get(task: dict[str, Any]) -> None:
    """Brings the objects into a file."""
    descriptor = os.open(task["file"], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    threads = local()

    def bring(at_url: tuple[int, str]) -> None:
        at, url = at_url
        connection = _connection(threads, url)
        connection.request("GET", _target(url))
        answer = connection.getresponse()
        buffer = memoryview(bytearray(BLOCK_BYTES))
        while count := answer.readinto(buffer):
            os.pwrite(descriptor, buffer[:count], at)
            at += count
        assert answer.status == 200, answer.status

    _all(bring, [(number * task["object_bytes"], url) for number, url in enumerate(task["urls"])])


def _all(work: Any, items: list[tuple[int, str]]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, items))


def _connection(threads: local, url: str) -> http.client.HTTPConnection:
    if not hasattr(threads, "connection"):
        threads.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection: http.client.HTTPConnection = threads.connection
    return connection


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def _done(connection: http.client.HTTPConnection, wanted: int) -> None:
    answer = connection.getresponse()
    answer.read()
    assert answer.status == wanted, answer.status


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    started = time.perf_counter()
    {"put": put, "get": get}[asked["do"]](asked)
    took_s = time.perf_counter() - started
    used = os.times()
    print(json.dumps({"took_s": took_s, "cpu_s": used.user + used.system}))
