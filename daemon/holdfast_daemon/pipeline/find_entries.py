"""Finds entries of a draft as it is now, in a worker process, for another draft that takes them over."""

from dataclasses import dataclass
from pathlib import Path

from holdfast_contract.errors import ContractError
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.assemble import merged_entries


@dataclass(frozen=True, slots=True)
class FindTask:
    """Which entries of which draft."""

    journal: Path
    job_id: str
    paths: frozenset[str]


@dataclass(slots=True)
class FindOutcome:
    """What was found, as a ManifestSegment in no order; with `problem`, an ErrorDetail, nothing."""

    entries: bytes = b""
    problem: bytes | None = None


def find_entries(task: FindTask) -> FindOutcome:
    """Does one task; paths that the draft does not have are left out."""
    try:
        columns = merged_entries(task.journal, task.job_id)
    except HoldfastError as error:
        return FindOutcome(problem=error.to_detail().SerializeToString())
    except ContractError as error:
        return FindOutcome(problem=HoldfastError(error.reason, str(error)).to_detail().SerializeToString())
    found = columns.take([row for row, path in enumerate(columns.paths) if path in task.paths])
    return FindOutcome(found.to_segment().SerializeToString())
