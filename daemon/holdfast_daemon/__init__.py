"""The daemon: reads, hashes, deduplicates, packs, uploads and commits what the user's processes log."""

__version__ = "0.1.0"
