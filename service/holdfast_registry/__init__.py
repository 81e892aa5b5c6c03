"""The registry: the source of truth for versions, aliases, lineage, and the packs that hold their bytes."""

__version__ = "0.1.0"
