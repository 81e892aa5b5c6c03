"""Versions in one file: written from jobs and committed versions, read into jobs."""
