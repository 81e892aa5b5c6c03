"""Numbered migrations of the schema, run at start."""
