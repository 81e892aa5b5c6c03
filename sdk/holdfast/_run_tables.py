"""Tables that are values of `Run.log`: each is logged as an artifact of its own, with the names and types of W&B's."""

from __future__ import annotations

import re
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

from holdfast._artifact_objects import StoredObject, object_file_name
from holdfast._run_code import RunCode
from holdfast.artifact import Artifact
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.paths import check_path

if TYPE_CHECKING:
    from holdfast.media.table import Table
    from holdfast.media.table_rows import TableRows
    from holdfast.runs import Run

TABLE_TYPE = "run_table"
STEPS_TYPE = "wandb-run-incremental-table"
"""Of the artifacts that hold the steps of tables of the mode "INCREMENTAL"."""

_LOG_TYPES = frozenset({"table", "joined-table", "partitioned-table"})
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_\-.]+")


class RunTables(RunCode):
    """Base of `Run`: tables among what `log` is given."""

    def _log_tables(self, values: Mapping[str, Any]) -> None:
        """Logs the tables among values; the caller holds the run's lock, so that steps come one after another."""
        if self.disabled:
            return
        for key, table in tables_in(values):
            if table.log_type != "table":
                self._log_table(Artifact._internal(run_table_name(self.id, key), TABLE_TYPE), table, key)
            else:
                self._log_rows(key, cast("Table", table))

    def _log_rows(self, key: str, table: TableRows) -> None:
        """Logs a table whose rows are known, unless it is as it was logged."""
        from holdfast.media.table_rows import LoggedSteps  # loaded with the table

        place = (self.path, key)
        if table._is_logged_in_steps:
            before = table._steps.get(place, LoggedSteps())
            if before.step_count and len(table) == before.row_count:
                return
            # Steps are read in the order of their times, also after the clock was set back.
            at_ms = max(time.time_ns() // 1_000_000, before.at_ms + 1)
            artifact = Artifact._internal(run_table_name(self.id, f"incr-{key}"), STEPS_TYPE)
            artifact._incremental = True
            part = table._rows_from(before.row_count, before.step_count)
            self._log_table(artifact, part, f"{before.step_count}-{at_ms}.{key}")
            table._steps = {
                **table._steps,
                place: LoggedSteps(before.step_count + 1, before.row_count + len(part), at_ms),
            }
        elif table._logged_in != self.path or (table.log_mode != "IMMUTABLE" and table._is_given_out):
            self._log_table(Artifact._internal(run_table_name(self.id, key), TABLE_TYPE), table, key)
            table._logged_in = self.path

    def _log_table(self, artifact: Artifact, table: StoredObject, name: str) -> None:
        artifact._meant_for = cast("Run", self)
        # Written whole, so that an equal table is an equal version, and other artifacts do not depend on this one.
        target, table._target = table._target, None
        try:
            artifact.add(table, _entry_name(table.log_type, name))
        finally:
            table._target = target
        self._log(artifact, [], [], use_after_commit=False)


def tables_in(values: Mapping[Any, Any]) -> Iterator[tuple[str, StoredObject]]:
    """Yields the tables among values, also in dicts and in lists of objects, each with the key next to it; data frames as tables."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from tables_in(value)
            continue
        is_list = isinstance(value, list | tuple) and all(isinstance(one, StoredObject) for one in value)
        for one in value if is_list else (value,):
            if isinstance(one, StoredObject):
                if one.log_type in _LOG_TYPES:
                    yield str(key), one
            elif _is_data_frame(one):
                from holdfast.media.table import Table

                yield str(key), Table(dataframe=one)


def run_table_name(run_id: str, key: str) -> str:
    """Returns the name of the artifact of a table.

    Characters that a name cannot have are left out, and a checksum of the whole, as W&B's, tells such names apart.
    """
    name = f"run-{run_id}-{key}"
    safe = _NOT_IN_NAMES.sub("", name)
    if safe == name:
        return name
    checksum = crc32(name.encode("utf-8", "surrogatepass")).to_bytes(4, "big")
    return f"{safe}-{urlsafe_b64encode(checksum).rstrip(b'=').decode()}"


def _entry_name(log_type: str, name: str) -> str:
    """Returns the name itself if an artifact can have such a file, else one of the same letters."""
    try:
        check_path(object_file_name(log_type, name))
    except ManifestPathError:
        return _NOT_IN_NAMES.sub("_", name).strip(".")[:NAME_CHARS_MAX] or "table"
    return name


def _is_data_frame(value: object) -> bool:
    """Whether it is one of pandas', which nobody can have who has not imported it."""
    frame_type = getattr(sys.modules.get("pandas"), "DataFrame", None)
    return frame_type is not None and isinstance(value, frame_type)
