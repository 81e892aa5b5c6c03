"""Garbage collection: mark, sweep, compaction, removal."""
