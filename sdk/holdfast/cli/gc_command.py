"""`holdfast registry gc` of a registry that runs: through the daemon, which has its address and token."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import typer

from holdfast.cli import output
from holdfast.cli.exit_codes import ExitCode
from holdfastpb.registry.v1 import admin_pb2

_ADMIN = "/holdfast.registry.v1.AdminService/"
_KNOWN = frozenset({"run", "status", "--dry-run", "--now", "--json"})
_PLACED_BY = ("HOLDFAST_REGISTRY_DATA_DIR", "HOLDFAST_REGISTRY_DATABASE_URL")
"""Settings of somebody who has a registry here, and means that one."""


def is_for_daemon(arguments: Sequence[str]) -> bool:
    """Tells whether a command says nothing of where its registry is; all other options are the registry's own to understand."""
    return _KNOWN.issuperset(arguments) and not any(os.environ.get(name) for name in _PLACED_BY)


def collect_through_daemon(arguments: Sequence[str]) -> None:
    """Runs a cycle of the daemon's registry, or shows the last ones.

    Raises:
        Error: the registry is not reached, or refuses.
        typer.Exit: with 1, when something could not be collected.
    """
    from holdfast._process import this_process

    daemon, as_json = this_process().daemon, "--json" in arguments
    if "status" in arguments:
        answer = daemon.unary(_ADMIN + "GetGcStatus", admin_pb2.GetGcStatusRequest(), admin_pb2.GetGcStatusResponse)
        _print_status(answer.cycles, as_json=as_json)
        return
    request = admin_pb2.RunGcRequest(dry_run="--dry-run" in arguments, now="--now" in arguments)
    report: dict[str, Any] = {}
    phase = ""
    for step in daemon.server_stream(_ADMIN + "RunGc", request, admin_pb2.RunGcResponse):
        report = json.loads(step.report_json)
        if step.phase != phase and not step.ended:
            phase = step.phase
            output.say(phase)
    if as_json:
        output.print_json(report)
    else:
        for name, value in report.items():
            if value:
                output.print_line(f"{name.replace('_', ' ')}: {value}")
    if report.get("problem"):
        raise typer.Exit(ExitCode.FAILED)


def _print_status(cycles: Sequence[admin_pb2.GcCycle], *, as_json: bool) -> None:
    if as_json:
        output.rows_as_json(
            {
                "cycle": one.cycle,
                "phase": one.phase,
                "started_at_ms": one.started_at_ms,
                "ended_at_ms": one.ended_at_ms or None,
                "report": json.loads(one.report_json),
            }
            for one in cycles
        )
        return
    for one in cycles:
        report = json.loads(one.report_json)
        problem = f"; {report['problem']}" if report.get("problem") else ""
        output.print_line(
            f"cycle {one.cycle}: {one.phase}; {report.get('bytes_deleted', 0)} bytes of chunks deleted, "
            f"{report.get('bytes_removed', 0)} bytes of packs removed{problem}"
        )
