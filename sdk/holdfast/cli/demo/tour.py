"""What the steps of the demo share: the folder, the report, and how one version is logged and measured."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import holdfast
from holdfast.cli.demo.place import DemoPlace
from holdfast.cli.demo.report import Report

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.runs import Run
    from holdfastpb.daemon.v1.log_pb2 import JobProgress

DATASET = "sample"


@dataclass(slots=True)
class Tour:
    """One demo under way."""

    place: DemoPlace
    report: Report
    large_file_bytes: int
    workers: int
    versions: list["Artifact"] = field(default_factory=list)
    """Versions of the dataset, as they were committed."""

    @property
    def tree(self) -> Path:
        """The many files."""
        return self.place.data / "packages"

    @property
    def large_file(self) -> Path:
        """The one file of noise."""
        return self.place.data / "noise.bin"

    @property
    def latest(self) -> "Artifact":
        """The version that was committed last."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Logged:
    """One version, and what logging it took."""

    artifact: "Artifact"
    blocked_s: float
    """Seconds from `add_dir` to the return of `log_artifact`: what the caller waits."""
    total_s: float
    """Seconds until `wait` returned: committed."""
    progress: "JobProgress"


def start_logging(run: "Run", folder: Path, name: str = DATASET) -> tuple["Artifact", float]:
    """Logs a folder that stays as it is until the version is committed.

    Returns:
        The draft, and the seconds for which the caller was blocked.
    """
    started = time.perf_counter()
    draft = holdfast.Artifact(name, type="dataset")
    draft.add_dir(str(folder), policy="immutable")
    run.log_artifact(draft)
    return draft, time.perf_counter() - started


def log_and_wait(run: "Run", folder: Path) -> Logged:
    """Logs a folder and waits until it is committed."""
    started = time.perf_counter()
    draft, blocked_s = start_logging(run, folder)
    draft.wait()
    return Logged(draft, blocked_s, time.perf_counter() - started, last_progress(DATASET))


def last_progress(name: str) -> "JobProgress":
    """What the daemon counted for the newest job of an artifact's name."""
    from holdfast.cli.daemon_link import DaemonLink

    return next(job.progress for job in DaemonLink.connect().jobs() if job.progress.artifact_name == name)
