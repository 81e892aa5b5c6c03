"""Daemon and registry put together as always, but in this process: for tests that stand in front of every file operation of both.

Worker processes become threads; `os._exit` is recorded instead of done, since it would end the tests.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

import holdfast_daemon.server
import holdfast_registry.server
from holdfast_contract import os_layer
from holdfast_contract.places import Places, find_places
from holdfast_daemon.lifecycle import Ending
from holdfast_daemon.pipeline import ingest
from holdfast_daemon.settings import DaemonSettings
from holdfast_daemon.workers import Workers
from holdfast_registry.fsck import check_store
from holdfast_registry.settings import RegistrySettings
from holdfastpb.daemon.v1.control_pb2 import DrainRequest
from support.log_client import LogClient

P = ParamSpec("P")
R = TypeVar("R")

DOWNLOAD_UMASK = 0o022
"""This process's own, which the daemon sets: it is most systems' default."""
RETRY_S = 0.01


class ThreadWorkers(Workers):
    """Does in threads what belongs into worker processes."""

    async def in_process(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.in_thread(function, *args, **kwargs)

    def warm(self) -> None:
        """There are no processes."""


class OneProcess:
    """Both servers on one data folder, as often as wished."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exit_codes: list[int] = []
        self._stop = asyncio.Event()
        self.places: Places
        monkeypatch.setattr(holdfast_daemon.server, "Workers", ThreadWorkers)
        monkeypatch.setattr(Ending, "listen_for_signals", lambda ending: None)
        monkeypatch.setattr(holdfast_registry.server, "_until_told", self._until_told)
        monkeypatch.setattr(holdfast_registry.server, "STOP_GRACE_S", 0.0)
        monkeypatch.setattr(ingest, "SPACE_RETRY_S", RETRY_S)
        monkeypatch.setattr(os, "_exit", self._note_exit)

    async def _until_told(self, *_: object) -> None:
        await self._stop.wait()

    def _note_exit(self, code: int) -> None:
        self.exit_codes.append(code)
        raise RuntimeError(f"the process would end with code {code}")

    @asynccontextmanager
    async def running(self, data_dir: Path) -> AsyncIterator[Places]:
        """Starts both, and ends both in the end."""
        runtime_dir = tempfile.mkdtemp(prefix="hf-")
        places = find_places({"HOLDFAST_DATA_DIR": str(data_dir), "HOLDFAST_RUNTIME_DIR": runtime_dir})
        self.places = places
        os_layer.make_private_folder(data_dir)
        self._stop.clear()
        registry = await self._started(
            lambda fd: holdfast_registry.server.serve(
                RegistrySettings(), places.registry_dir, places.registry_socket, ready_fd=fd
            )
        )
        settings = DaemonSettings(
            registry=f"unix:{places.registry_socket}", retry_delay_max_s=RETRY_S, worker_processes=2
        )
        daemon = await self._started(lambda fd: holdfast_daemon.server.serve(settings, places, fd, DOWNLOAD_UMASK))
        try:
            yield places
        finally:
            await asyncio.to_thread(self._drain)
            await daemon
            self._stop.set()
            await registry
            shutil.rmtree(runtime_dir)

    async def _started(self, serve: Callable[[int], Any]) -> "asyncio.Task[None]":
        read_end, write_end = os.pipe()
        task = asyncio.create_task(serve(write_end))
        said = asyncio.create_task(asyncio.to_thread(os.read, read_end, 6))
        await asyncio.wait((task, said), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            os.close(write_end)
            await task
        await said
        os.close(read_end)
        return task

    @property
    def daemon(self) -> "OneProcess":
        """The daemon, as messages name it."""
        return self

    def log_tail(self) -> str:
        """There is no log of its own: pytest shows what was logged."""
        return ""

    def _drain(self) -> None:
        with LogClient(self.places) as client:
            client.call(client.control.Drain, DrainRequest())

    def fsck(self) -> str:
        """What the registry's deep check finds wrong; empty when clean."""
        report = check_store(self.places.registry_dir, deep=True)
        return "" if report.is_clean else str(report.as_dict())
