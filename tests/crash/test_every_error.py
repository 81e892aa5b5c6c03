"""The n-th file operation fails, for every n and every kind of failure: nothing wrong is committed, nothing acknowledged is lost.

Daemon and registry run in this process, so that one counter stands in front of all their operations.  A failing fsync ends a
process; that is in test_disk_errors.py.
"""

import asyncio
import errno
import os
import random
import threading
from pathlib import Path
from typing import cast

import grpc
import pytest

from crash.user import User
from holdfast_contract import os_layer
from support.figures import figure
from support.log_client import LogClient
from support.one_process import OneProcess
from support.processes import Host

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENOMEM)
FLUSHES = frozenset({"fsync", "fsync_folder"})
STEP = figure(7, 1)
"""Of the operations, each so-many-th fails."""


class _Fault:
    """Lets one operation fail, or (with `times`) some that follow as well."""

    def __init__(self, at: int, code: int, times: int = 1) -> None:
        self._lock = threading.Lock()
        self._at = at
        self._code = code
        self._left = times
        self.passed = 0

    def __call__(self, operation: str, arguments: tuple[object, ...]) -> None:
        with self._lock:
            if operation in FLUSHES:
                return
            self.passed += 1
            if self.passed < self._at or not self._left:
                return
            self._left -= 1
        raise OSError(self._code, f"{os.strerror(self._code)} (injected into {operation})")


async def _log_with(system: OneProcess, folder: Path, fault: _Fault) -> None:
    async with system.running(folder / "data"):
        user = User(cast(Host, system), folder / "files", random.Random(7))
        os_layer.observe(fault)
        try:
            await asyncio.to_thread(_log_two, system, user)
        finally:
            os_layer.observe(None)
        await asyncio.to_thread(user.check)
    assert not system.exit_codes


def _log_two(system: OneProcess, user: User) -> None:
    """What is refused here is not acknowledged; the user's next try (in `check`) must go through."""
    with LogClient(system.places) as client:
        for _ in range(2):
            try:
                user.log(client, user.make(8))
                client.wait(user.artifacts[-1].session.session_id)
            except grpc.RpcError:
                continue


async def _count_operations(system: OneProcess, folder: Path) -> int:
    counter = _Fault(0, 0, times=0)
    await _log_with(system, folder, counter)
    return counter.passed


@pytest.mark.timeout(figure(120, 7200))
@pytest.mark.parametrize("code", ERRORS, ids=[errno.errorcode[code] for code in ERRORS])
async def test_an_error_at_any_operation_delays_and_never_corrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    system = OneProcess(monkeypatch)
    total = await _count_operations(system, tmp_path / "counted")
    for at in range(1 + ERRORS.index(code) * 2 % STEP, total + 1, STEP):
        try:
            await _log_with(system, tmp_path / str(at), _Fault(at, code))
        except AssertionError as error:
            raise AssertionError(f"{errno.errorcode[code]} at operation {at} of {total}: {error}") from error


async def test_a_disk_that_stays_full_for_a_while_delays_and_never_corrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = OneProcess(monkeypatch)
    await _log_with(system, tmp_path / "full", _Fault(3, errno.ENOSPC, times=25))
