"""Durable memory of the daemon: sessions, records, runs of entries, packs, and what it knows of files."""
