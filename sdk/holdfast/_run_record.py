"""What every run tells of itself, whether it is going on here or was read from the registry."""

from __future__ import annotations

from holdfastpb.registry.v1 import run_pb2


class RunRecord:
    """Base of both kinds of run: the properties that come from the record."""

    _record: run_pb2.Run

    @property
    def id(self) -> str:
        """Unique in the project."""
        return str(self._record.run_id)

    @property
    def display_name(self) -> str:
        """The name for people; the id when none was given."""
        return str(self._record.display_name) or self.id

    @property
    def name(self) -> str:
        """As `display_name`."""
        return self.display_name

    @property
    def entity(self) -> str:
        """The entity (tenant) that the run belongs to."""
        return str(self._record.entity)

    @property
    def project(self) -> str:
        """The project that the run belongs to."""
        return str(self._record.project)

    @property
    def group(self) -> str:
        """Group of runs that belong together; empty when none was given."""
        return str(self._record.group)

    @property
    def job_type(self) -> str:
        """What the run does, for example "train"; empty when it was not given."""
        return str(self._record.job_type)

    @property
    def url(self) -> str:
        """A URL that names the run."""
        return f"holdfast://{self.entity}/{self.project}/runs/{self.id}"
