"""What a cycle of garbage collection has done so far, as figures that are kept and shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class GcReport:
    """All figures; bytes are as they lie in the store."""

    manifests_marked: int = 0
    chunks_seen: int = 0
    bytes_seen: int = 0
    chunks_condemned: int = 0
    bytes_condemned: int = 0
    """Freed by a later cycle, unless a writer brings or names them again."""
    bytes_waiting: int = 0
    """Condemned before, and not deleted yet: leases that were ACTIVE then have not all ended, or this is a dry run."""
    chunks_revived: int = 0
    chunks_deleted: int = 0
    bytes_deleted: int = 0
    packs_doomed: int = 0
    packs_compacted: int = 0
    bytes_moved: int = 0
    packs_removed: int = 0
    bytes_removed: int = 0
    """What the store has less."""
    orphans_seen: int = 0
    orphans_removed: int = 0
    versions_restorable: int = 0
    versions_purged: int = 0
    problem: str = ""
    """Why it, or some entity, could not be done."""

    def to_json(self) -> str:
        """Returns one object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, encoded: str) -> GcReport:
        """Reads what was kept, also by another release: figures that are not known any more are left out."""
        kept = json.loads(encoded)
        names = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in names})
