"""What reading keeps in the journal stays within its bounds."""

from pathlib import Path

import pytest

from holdfast_daemon.journal import reading_store
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.reading_store import ReadingStore


async def test_manifests_of_versions_that_are_pinned_no_more_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_store, "PINNED_VERSIONS_MAX", 5)
    journal = Journal(tmp_path / "journal.sqlite")
    store = ReadingStore(journal)
    kept_at_most = 0
    for number in range(30):
        pin = ("e", "p", "c", f"{number:064x}")
        await store.store_version(pin, f"v{number}", b"version", number)
        await store.store_manifest(f"v{number}", b"manifest")
        kept = [n for n in range(30) if await store.load_manifest(f"v{n}") is not None]
        kept_at_most = max(kept_at_most, len(kept))
        assert number in kept
        await store.forget_pins([pin])  # as a commit to the collection does
    journal.close()
    assert kept_at_most <= 5
