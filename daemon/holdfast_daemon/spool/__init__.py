"""Packs on their way out."""
