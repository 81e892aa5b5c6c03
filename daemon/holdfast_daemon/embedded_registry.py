"""The registry that the daemon runs for itself when none is configured: a process of its own, started, watched and started again.

It may outlive a daemon that was killed: the next one finds it by its socket and uses it.  It ends by itself when no daemon has called
for a minute.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.places import Places
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient

IDLE_EXIT_S = 60
HEARTBEAT_S = 15.0
"""Four calls within the registry's patience."""
READY_TIMEOUT_S = 30.0
STARTS_MAX = 3
STARTS_WINDOW_S = 60.0
RESTART_PAUSE_S = 0.2
TERMINATE_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


class EmbeddedRegistry:
    """Keeps one registry process alive while the daemon runs."""

    def __init__(self, places: Places, client: RegistryClient) -> None:
        self._places = places
        self._client = client
        self._process: Process | None = None
        self._starts: list[float] = []
        # A daemon takes calls before its registry does: the first one waits instead of failing.
        client.hold_calls()
        self.problem = ""
        """Why it does not run; empty while it does."""

    async def ensure_running(self) -> None:
        """Returns when the registry answers.

        Raises:
            HoldfastError: UNAVAILABLE: it does not start; the message has the log's path and its last line.
        """
        if await self._answers():
            self.problem = ""
            return
        await self._start()
        # The channel may still be pausing after a call that came too early: whoever is released must find it connected.
        await self._client.hello(wait_for_ready=True)
        self.problem = ""

    async def watch(self) -> None:
        """Keeps the registry alive until cancelled: starts it again when it ends, calls it so that it does not."""
        while True:
            try:
                await self.ensure_running()
            except HoldfastError as error:
                self.problem = error.message
                _log.error("%s", error.message)
            finally:
                self._client.release_calls()
            await self._wait_for_end(HEARTBEAT_S)

    async def stop(self) -> None:
        """Ends the registry that this daemon started; one that it found running ends by itself."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), TERMINATE_TIMEOUT_S)
        except TimeoutError:
            _log.warning("the registry did not end within %s s; it goes on by itself", TERMINATE_TIMEOUT_S)

    async def _answers(self) -> bool:
        with contextlib.suppress(HoldfastError):
            await self._client.hello(deadline_s=2.0 if self._places.registry_socket.exists() else 0.2)
            return True
        return False

    async def _wait_for_end(self, timeout_s: float) -> None:
        if self._process is None or self._process.returncode is not None:
            await asyncio.sleep(RESTART_PAUSE_S if self.problem or self._process is not None else timeout_s)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), timeout_s)
            self._client.hold_calls()
            _log.error("the registry ended with code %s; it is started again", self._process.returncode)

    async def _start(self) -> None:
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < STARTS_WINDOW_S]
        if len(self._starts) >= STARTS_MAX:
            await asyncio.sleep(min(5.0, 2.0 ** (len(self._starts) - STARTS_MAX)))
        self._starts.append(now)
        os_layer.make_private_folder(self._places.registry_dir)
        read_end, write_end = os.pipe()
        try:
            log = os.open(self._places.registry_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command(write_end),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
            finally:
                os.close(log)
                os.close(write_end)
            if not await _says_ready(read_end):
                raise HoldfastError(Reason.UNAVAILABLE, f"the registry does not start: {self._last_line()}")
        finally:
            os.close(read_end)

    def _command(self, ready_fd: int) -> list[str]:
        places = self._places
        return [
            sys.executable,
            "-P",
            "-m",
            "holdfast_registry",
            "serve",
            f"--data-dir={places.registry_dir}",
            f"--socket={places.registry_socket}",
            f"--ready-fd={ready_fd}",
            f"--idle-exit-s={IDLE_EXIT_S}",
        ]

    def _last_line(self) -> str:
        return f"{last_line(self._places.registry_log)} (log: {self._places.registry_log})"


async def _says_ready(descriptor: int) -> bool:
    """Waits for READY on a pipe; False when it is closed or silent for too long."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), READY_TIMEOUT_S)
        return os.read(descriptor, 16).startswith(b"READY")
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)


def last_line(path: Path) -> str:
    """Last line of a log, for messages."""
    with contextlib.suppress(OSError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"
    return "it has no log"
