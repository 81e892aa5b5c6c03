"""Packs kept for reading, when the registry is on another machine."""
