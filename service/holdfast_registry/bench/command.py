"""`holdfast bench registry`: how much a registry takes, in calls a second and percentiles of their times.

Exit codes: 0 measured, 1 calls failed, 2 usage, 78 the registry cannot be reached or started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

from holdfast_registry.bench.client import CallFailedError
from holdfast_registry.bench.load import ACTIONS, Load, Outcome, Target, drive
from holdfast_registry.bench.timings import table
from holdfast_registry.errors import EXIT_CODE_CONFIGURATION
from holdfast_registry.tls import is_loopback

EXIT_CODE_FAILED = 1
MIX = "log=1,resolve=8,alias=1,list=1"
STOP_TIMEOUT_S = 30.0


class NoRegistryError(Exception):
    """There is nothing to be driven."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns the exit code."""
    wish = _parse(arguments)
    seed = random.SystemRandom().getrandbits(32) if wish.seed is None else wish.seed
    load = Load(
        wish.entity,
        wish.project or f"bench-{seed:08x}",
        wish.clients,
        wish.seconds,
        wish.mix,
        wish.collections,
        wish.files,
        wish.file_bytes,
    )
    try:
        with _targets(wish) as targets:
            outcome = asyncio.run(drive(targets, load, seed))
    except (NoRegistryError, CallFailedError, OSError) as error:
        sys.stderr.write(f"holdfast bench: {error}\n")
        return EXIT_CODE_CONFIGURATION
    _print(outcome, load, seed, as_json=wish.json)
    return EXIT_CODE_FAILED if outcome.failed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="holdfast bench registry", description=__doc__)
    parser.add_argument(
        "--address", action="append", help="HOST:PORT or unix:/PATH of a registry; of all replicas, when repeated"
    )
    parser.add_argument("--token-file", help="file with a token that may write, for HOST:PORT")
    parser.add_argument("--ca-file", help="PEM of the authority that signed the registry's certificate")
    parser.add_argument("--insecure", action="store_true", help="plaintext to another machine")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="without --address: a setting of the registry that is started for this and thrown away; repeatable",
    )
    parser.add_argument("--clients", type=_count, default=16, help="at work at once; default: 16")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long; default: 10")
    parser.add_argument("--mix", type=_mix, default=MIX, help=f"weights of {', '.join(ACTIONS)}; default: {MIX}")
    parser.add_argument("--collections", type=_count, default=16, help="that the clients share; default: 16")
    parser.add_argument("--files", type=_count, default=10, help="of a version; default: 10")
    parser.add_argument("--file-bytes", type=_count, default=256, help="of a file, 16 to 65,536; default: 256")
    parser.add_argument("--entity", default="bench", help="where the project is made; default: bench")
    parser.add_argument("--project", help="default: a new one; its collections are deleted in the end")
    parser.add_argument("--seed", type=int, help="of what is chosen; default: another one each time")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _mix(text: str) -> dict[str, int]:
    mix: dict[str, int] = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        if name not in ACTIONS or not weight.isdecimal():
            raise argparse.ArgumentTypeError(f"{part!r} is not ACTION=WEIGHT, with an action of {', '.join(ACTIONS)}")
        mix[name] = int(weight)
    if not any(mix.values()):
        raise argparse.ArgumentTypeError("one weight must be at least 1")
    return mix


@contextlib.contextmanager
def _targets(wish: argparse.Namespace) -> Iterator[list[Target]]:
    if not wish.address:
        with _own_registry(wish.set) as target:
            yield [target]
        return
    token = Path(wish.token_file).read_text(encoding="ascii").strip() if wish.token_file else None
    root = Path(wish.ca_file).read_bytes() if wish.ca_file else None
    yield [Target(address, token, _credentials(address, root, insecure=wish.insecure)) for address in wish.address]


def _credentials(address: str, root: bytes | None, *, insecure: bool) -> grpc.ChannelCredentials | None:
    """Returns none where plaintext is right: on this machine, unless an authority is named."""
    is_here = address.startswith("unix:") or is_loopback(address.rpartition(":")[0])
    if insecure or (is_here and root is None):
        return None
    return grpc.ssl_channel_credentials(root)


@contextlib.contextmanager
def _own_registry(settings: Sequence[str]) -> Iterator[Target]:
    """Starts a registry with a data folder that goes afterwards; what `settings` name beside it (a database, a bucket) stays.

    Raises:
        NoRegistryError: it does not start; it has said why.
    """
    environ = {"HOLDFAST_REGISTRY_LOG_LEVEL": "warning", **os.environ}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise NoRegistryError(f"{setting!r} is not NAME=VALUE")
        environ[f"HOLDFAST_REGISTRY_{name.upper()}"] = value
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        socket_path = f"{folder}/registry.sock"
        read_end, write_end = os.pipe()
        where = [f"--data-dir={folder}/data", f"--socket={socket_path}", f"--ready-fd={write_end}"]
        command = [sys.executable, "-P", "-m", "holdfast_registry", "serve", *where]
        registry = subprocess.Popen(command, env=environ, pass_fds=[write_end])
        os.close(write_end)
        try:
            with open(read_end, "rb") as ready:
                if not ready.readline():
                    raise NoRegistryError("the registry does not start")
            yield Target(f"unix:{socket_path}")
        finally:
            registry.terminate()
            registry.wait(STOP_TIMEOUT_S)


def _print(outcome: Outcome, load: Load, seed: int, *, as_json: bool) -> None:
    if as_json:
        document = {
            "load": {**dataclasses.asdict(load), "seed": seed},
            "took_s": outcome.took_s,
            "failed": outcome.failed,
            "calls": [dataclasses.asdict(summary) for summary in outcome.summaries],
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    sys.stdout.write(f"{table(outcome.summaries)}\n")
    where = f"{load.entity}/{load.project}"
    sys.stderr.write(
        f"{load.clients} clients for {outcome.took_s:.1f} s, seed {seed}; {where} is empty again "
        f"({outcome.versions_deleted} versions deleted)\n"
    )
