"""Jobs and the daemon's state as rows, fields and JSON objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from holdfast._job_calls import priority_word
from holdfast.cli.output import human_duration, human_size, human_time, make_table, printable
from holdfastpb.daemon.v1.control_pb2 import GetStatusResponse, Job
from holdfastpb.daemon.v1.log_pb2 import JobState

ENDED = frozenset({JobState.JOB_STATE_COMMITTED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED})

_STATE_WORDS = {
    JobState.JOB_STATE_UNSPECIFIED: "unknown",
    JobState.JOB_STATE_DRAFT: "collecting",
    JobState.JOB_STATE_INGEST: "reading",
    JobState.JOB_STATE_UPLOAD: "sending",
    JobState.JOB_STATE_COMMIT: "committing",
    JobState.JOB_STATE_COMMITTED: "committed",
    JobState.JOB_STATE_FAILED: "failed",
    JobState.JOB_STATE_CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the daemon said at one moment."""

    status: GetStatusResponse
    jobs: Sequence[Job]


def state_word(job: Job) -> str:
    """A job's state in one word: "paused", "held" when it waits for a sync, "unknown" for one that only a newer daemon knows."""
    if job.progress.paused:
        return "paused"
    return "held" if job.held else _STATE_WORDS.get(job.progress.state, "unknown")


def status_as_json(status: GetStatusResponse) -> dict[str, Any]:
    """All fields of the daemon's state under their names in the protocol."""
    figures = {field.name: getattr(status.figures, field.name) for field in status.figures.DESCRIPTOR.fields}
    counted = {name: dict(figures[name]) for name in ("jobs", "jobs_ended")}
    shown = {field.name: getattr(status, field.name) for field in status.DESCRIPTOR.fields}
    return {**shown, "figures": {**figures, **counted}}


def job_as_json(job: Job) -> dict[str, Any]:
    """A job as one flat object; sizes in bytes, times in milliseconds since 1970."""
    progress = {field.name: getattr(job.progress, field.name) for field in job.progress.DESCRIPTOR.fields}
    names = {"qualified_name": job.qualified_name, "version": job.version, "error": job.error, "held": job.held}
    return {**progress, "state": state_word(job), "priority": priority_word(job.progress.priority), **names}


def status_fields(status: GetStatusResponse, now_ms: int) -> dict[str, object]:
    """The daemon's state for people."""
    registry = f"{status.registry} ({'answers' if status.registry_reachable else 'does not answer'})"
    return {
        "daemon": f"{status.software_version}, process {status.pid}",
        "up for": human_duration(max(0, now_ms - status.started_at_ms) / 1000),
        "data folder": status.data_dir,
        "registry": registry,
        "problem": status.registry_problem,
        "jobs": f"{status.jobs_active} active, {status.clients} clients",
        "reading": f"{human_size(status.read_bytes_per_s)}/s",
        "sending": f"{human_size(status.sent_bytes_per_s)}/s",
        "limits": _limits(status),
        "paused": f"{status.jobs_paused} jobs" if status.jobs_paused else "",
        "held": f"{status.jobs_held} jobs, {human_size(status.held_bytes)}" if status.jobs_held else "",
        "spool": f"{human_size(status.spool_bytes)} of {human_size(status.spool_bytes_max)}",
        "cache": f"{human_size(status.cache_bytes)} of {human_size(status.cache_bytes_max)}",
        "peak memory": human_size(status.peak_memory_bytes),
    }


def render_snapshot(snapshot: Snapshot) -> RenderableType:
    """What is being logged, how far and how fast; then what ended lately."""
    status = snapshot.status
    active = [job for job in snapshot.jobs if job.progress.state not in ENDED]
    ended = [job for job in snapshot.jobs if job.progress.state in ENDED]
    parts: list[RenderableType] = [
        Text(
            f"{status.jobs_active} active · reading {human_size(status.read_bytes_per_s)}/s"
            f" · sending {human_size(status.sent_bytes_per_s)}/s"
            f" · spool {human_size(status.spool_bytes)} of {human_size(status.spool_bytes_max)}"
            + (f" · {status.jobs_held} held, {human_size(status.held_bytes)}" if status.jobs_held else "")
        )
    ]
    if not status.registry_reachable:
        parts.append(
            Text(printable(f"registry {status.registry}: {status.registry_problem or 'does not answer'}"), "yellow")
        )
    if active:
        columns = ("artifact", "state", "files", "found", "read", "known", "sent", "waits for")
        parts.append(make_table(columns, map(_active_row, active)))
    if ended:
        parts.append(
            make_table(("artifact", "ended as", "finalized (UTC)", "size", "sent", "error"), map(_ended_row, ended))
        )
    return Group(*parts)


def job_rows(jobs: Sequence[Job], id_chars: int) -> RenderableType:
    """A table of jobs that can be named by their ids."""
    columns = ("job", "artifact", "state", "priority", "found", "read", "known", "sent", "waits for")
    return make_table(columns, (_job_row(job, id_chars) for job in jobs))


def _job_row(job: Job, id_chars: int) -> Sequence[str]:
    progress = job.progress
    return (
        progress.job_id[:id_chars],
        _name(job),
        state_word(job),
        priority_word(progress.priority),
        human_size(progress.bytes_total),
        _share(progress.bytes_read, progress.bytes_total),
        human_size(progress.bytes_deduplicated),
        human_size(progress.bytes_sent),
        progress.waiting_for or job.error,
    )


def _limits(status: GetStatusResponse) -> str:
    limits = {"up": status.up_bytes_per_s_max, "down": status.down_bytes_per_s_max}
    return ", ".join(f"{way} {human_size(rate)}/s" for way, rate in limits.items() if rate)


def _active_row(job: Job) -> Sequence[str]:
    progress = job.progress
    return (
        _name(job),
        state_word(job),
        f"{progress.entries_read:,}/{progress.entries_total:,}",
        human_size(progress.bytes_total),
        _share(progress.bytes_read, progress.bytes_total),
        human_size(progress.bytes_deduplicated),
        human_size(progress.bytes_sent),
        progress.waiting_for,
    )


def _ended_row(job: Job) -> Sequence[str]:
    progress = job.progress
    return (
        _name(job),
        state_word(job),
        human_time(progress.finalized_at_ms),
        human_size(progress.bytes_total),
        human_size(progress.bytes_sent),
        job.error,
    )


def _name(job: Job) -> str:
    name = job.qualified_name or job.progress.artifact_name
    return f"{name}:{job.version}" if job.version else name


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
