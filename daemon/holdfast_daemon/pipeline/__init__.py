"""The way of a byte, one module a step: intake, ingest, assemble, negotiate and upload, commit; and back: fetch."""
