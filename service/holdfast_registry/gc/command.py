"""`holdfast registry gc`: on a registry that is not running, or at the address of one that is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import grpc

from holdfast_registry.access_desk import CALL_TIMEOUT_S, connect, refusal
from holdfast_registry.database.gc_cycles import CycleRecord
from holdfast_registry.errors import StartError
from holdfast_registry.gc.report import GcReport
from holdfast_registry.gc.schedule import wish_of
from holdfast_registry.placed_command import add_connection_options, connection_of
from holdfast_registry.server import stopped_registry
from holdfast_registry.settings import RegistrySettings
from holdfastpb.registry.v1 import admin_pb2, admin_pb2_grpc

EXIT_CODE_PROBLEM = 1
CYCLES_SHOWN = 10


def add_gc_command(gc: argparse.ArgumentParser) -> None:
    """Adds the options of `gc`."""
    gc.add_argument(
        "what", nargs="?", choices=["run", "status"], default="run", help="collect, or show the last cycles"
    )
    gc.add_argument("--dry-run", action="store_true", help="count what would go, and change nothing")
    gc.add_argument(
        "--now", action="store_true", help="without grace: also what was brought a moment ago and no version names"
    )
    gc.add_argument("--json", action="store_true", help="one JSON object on stdout")
    add_connection_options(gc)


def ask_running(wish: argparse.Namespace) -> int:
    """Runs the command at a registry that runs; returns the exit code as `collect_garbage`.

    Raises:
        StartError: it does not answer, or refuses.
    """
    try:
        with connect(connection_of(wish)) as (channel, metadata):
            stub = admin_pb2_grpc.AdminServiceStub(channel)
            if wish.what == "status":
                cycles = stub.GetGcStatus(
                    admin_pb2.GetGcStatusRequest(), timeout=CALL_TIMEOUT_S, metadata=metadata
                ).cycles
                shown = [
                    CycleRecord(one.cycle, one.phase, one.started_at_ms, one.ended_at_ms or None, one.report_json)
                    for one in cycles
                ]
                _print_status(shown, as_json=wish.json)
                return 0
            report = GcReport()
            for step in stub.RunGc(admin_pb2.RunGcRequest(dry_run=wish.dry_run, now=wish.now), metadata=metadata):
                report = GcReport.from_json(step.report_json)
    except grpc.RpcError as error:
        raise StartError(refusal(error)) from error
    _print_report(report, as_json=wish.json)
    return EXIT_CODE_PROBLEM if report.problem else 0


async def collect_garbage(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    """Runs the command; returns the exit code: 0, or 1 when something could not be collected.

    Raises:
        StartError: the registry runs, or cannot be opened.
    """
    async with stopped_registry(settings, data_dir) as collector:
        if wish.what == "status":
            _print_status(await collector.last(CYCLES_SHOWN), as_json=wish.json)
            return 0
        how = wish_of(settings)
        if wish.now:
            how = replace(how, grace_ms=0, pause_s=0)
        report = await (collector.preview(how) if wish.dry_run else collector.collect(how))
    _print_report(report, as_json=wish.json)
    return EXIT_CODE_PROBLEM if report.problem else 0


def _print_status(cycles: Sequence[CycleRecord], *, as_json: bool) -> None:
    shown = [
        {
            "cycle": one.row,
            "phase": one.phase,
            "started_at_ms": one.started_at_ms,
            "ended_at_ms": one.ended_at_ms,
            "report": asdict(GcReport.from_json(one.report_json)),
        }
        for one in cycles
    ]
    if as_json:
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        return
    for one in cycles:
        report = GcReport.from_json(one.report_json)
        sys.stdout.write(
            f"cycle {one.row}: {one.phase}; {report.bytes_deleted} bytes of chunks deleted, {report.bytes_removed} bytes "
            f"of packs removed{'; ' + report.problem if report.problem else ''}\n"
        )


def _print_report(report: GcReport, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), indent=2) + "\n")
        return
    for name, value in asdict(report).items():
        if value:
            sys.stdout.write(f"{name.replace('_', ' ')}: {value}\n")
