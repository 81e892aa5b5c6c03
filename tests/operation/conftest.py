"""A registry on TCP, a daemon and a program, with all that operators may turn on; they run once for all tests of the folder."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.own_registry import OwnRegistry, free_port
from support.sdk_host import SdkHost
from support.trace_collector import Span, TraceCollector

PROGRAM = """
import json, pathlib, sys
import holdfast
from holdfast.errors import NotFoundError

with holdfast.init(project="p") as run:
    artifact = holdfast.Artifact("data", "dataset")
    with artifact.new_file("a.txt") as file:
        file.write("some content")
    run.log_artifact(artifact).wait()
try:
    holdfast.Api().artifact("p/nothing:v0")
except NotFoundError as error:
    refused = error
lines = []
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        lines.append(path.read_bytes().replace(b"\\0", b" ").decode(errors="replace"))
    except OSError:
        pass
print(json.dumps({"version": artifact.version, "request_id": refused.request_id, "command_lines": lines}))
"""
"""Logs a version, asks for one that does not exist, and looks at what all processes were started with."""


@dataclass
class Flow:
    """What was left of one flow."""

    said: dict[str, Any]
    """By the program."""
    registry_metrics: str
    daemon_metrics: str
    status: dict[str, Any]
    registry_log: str
    daemon_log: str
    secrets: list[str]
    registry: OwnRegistry
    """It runs."""
    spans: list[Span] = field(default_factory=list)
    later_metrics: str = ""
    """Of the registry after a restart."""


def scrape(address: str) -> str:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="session")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    folder = tmp_path_factory.mktemp("operation")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("registry", "daemon")}
    with TraceCollector() as traces:
        settings = {
            "HOLDFAST_REGISTRY_METRICS_ADDRESS": addresses["registry"],
            "HOLDFAST_REGISTRY_LOG_FORMAT": "json",
            "HOLDFAST_REGISTRY_LOG_LEVEL": "debug",
            "HOLDFAST_REGISTRY_TRACES_URL": traces.url,
            "HOLDFAST_REGISTRY_CONNECTION_AGE_S": "0.3",
        }
        with OwnRegistry(folder / "registry", settings=settings) as registry:
            registry.start()
            host = SdkHost(
                folder / "host",
                {
                    **registry.daemon_settings(),
                    "HOLDFAST_TRACES_URL": traces.url,
                    "HOLDFAST_DAEMON_TRACES_URL": traces.url,
                    "HOLDFAST_DAEMON_METRICS_ADDRESS": addresses["daemon"],
                    "HOLDFAST_DAEMON_LOG_FORMAT": "json",
                    "HOLDFAST_DAEMON_LOG_LEVEL": "debug",
                },
            )
            try:
                yield run_flow(host, registry, addresses, traces)
            finally:
                host.close()


def run_flow(host: SdkHost, registry: OwnRegistry, addresses: dict[str, str], traces: TraceCollector) -> Flow:
    done = host.run(PROGRAM)
    assert done.returncode == 0, done.stderr
    status = host.run(
        "import sys; from holdfast.cli.main import main; sys.argv[1:] = ['daemon', 'status', '--json']; main()"
    )
    assert status.returncode == 0, status.stderr
    metrics = scrape(addresses["registry"]), scrape(addresses["daemon"])
    host.stop_daemon()
    assert registry.terminate() == 0
    limited = registry.command("quota", "set", "team", "--versions", "5", f"--data-dir={registry.data_dir}")
    assert limited.returncode == 0, limited.stderr
    registry.start()
    later = scrape(addresses["registry"])
    while "\nholdfast_registry_stored_bytes " not in later:
        later = scrape(addresses["registry"])
    return Flow(
        said=json.loads(done.stdout.splitlines()[-1]),
        registry_metrics=metrics[0],
        daemon_metrics=metrics[1],
        status=json.loads(status.stdout),
        registry_log=registry.log.read_text(),
        daemon_log=host.places.daemon_log.read_text(),
        secrets=[registry.token_file.read_text().strip(), Path(host.places.daemon_token).read_text().strip()],
        registry=registry,
        spans=list(traces.spans),
        later_metrics=later,
    )
