"""What a registry is, said in dicts: the oracle of the tests that repeat, lose and reorder its calls."""

from dataclasses import dataclass, field
from typing import Any

from support.registry_writer import Content


@dataclass
class ModelVersion:
    """One committed version."""

    index: int
    digest: str
    tags: set[str] = field(default_factory=set)
    description: str = ""
    deleted: bool = False


@dataclass
class ModelPending:
    """A version that was begun."""

    collection: str
    is_open: bool = True


@dataclass
class ModelRegistry:
    """One entity."""

    stored: set[bytes] = field(default_factory=set)
    versions: dict[str, list[ModelVersion]] = field(default_factory=dict)
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)

    def latest(self, collection: str) -> ModelVersion | None:
        live = [version for version in self.versions.get(collection, []) if not version.deleted]
        return live[-1] if live else None

    def commit(
        self, pending: ModelPending, content: Content, aliases: set[str], tags: set[str]
    ) -> tuple[ModelVersion | None, bool, set[bytes]]:
        """Returns the version (or None), whether it is new, and the digests that are missing."""
        latest = self.latest(pending.collection)
        created = latest is None or latest.digest != content.digest
        missing = content.chunks.keys() - self.stored
        if created and missing:
            return None, False, missing
        versions = self.versions.setdefault(pending.collection, [])
        if created:
            latest = ModelVersion(len(versions), content.digest)
            versions.append(latest)
        assert latest is not None
        pending.is_open = False
        latest.tags |= tags
        self.aliases.setdefault(pending.collection, {}).update(dict.fromkeys(aliases, latest.index))
        return latest, created, set()

    def delete(self, collection: str, version: ModelVersion) -> None:
        version.deleted = True
        names = self.aliases.get(collection, {})
        for name in [name for name, index in names.items() if index == version.index]:
            del names[name]

    def aliases_of(self, collection: str, version: ModelVersion) -> list[str]:
        names = {name for name, index in self.aliases.get(collection, {}).items() if index == version.index}
        return sorted(names | ({"latest"} if version is self.latest(collection) else set()))

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """Everything a reader can see."""
        return {
            collection: [
                {
                    "index": version.index,
                    "digest": version.digest,
                    "aliases": self.aliases_of(collection, version),
                    "tags": sorted(version.tags),
                    "description": version.description,
                }
                for version in versions
                if not version.deleted
            ]
            for collection, versions in self.versions.items()
        }
