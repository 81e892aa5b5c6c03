"""Manifests from encoded segments: look-ups, order, entries made on demand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.manifest import DECODED_SEGMENTS_MAX, ArtifactManifest, ArtifactManifestEntry
from holdfast_contract.digest import file_digest
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from support.fake_state import FakeEntry, artifact_digest, encode_segments

ENTRIES = {
    path: FakeEntry(file_digest(path.encode()).hex(), len(path), path.encode())
    for path in ["a", "a/b", "a/c/d", "a0", "b", "b/x", "ba", "c", "z/y", "é", "z"]
}


@pytest.fixture
def manifest() -> ArtifactManifest:
    return ArtifactManifest(encode_segments(ENTRIES))


def test_entries_behave_as_a_dict(manifest: ArtifactManifest) -> None:
    entries = manifest.entries
    assert list(entries) == sorted(ENTRIES)
    assert [path for path, _ in entries.items()] == [entry.path for entry in entries.values()] == sorted(ENTRIES)
    assert (len(entries), "b/x" in entries, "b/" in entries, 5 in entries) == (11, True, False, False)
    assert entries["é"].digest == ENTRIES["é"].digest
    assert entries.get("absent") is None
    with pytest.raises(KeyError):
        entries["absent"]
    assert repr(entries) == "<11 entries>"


def test_every_path_is_found_and_no_other(manifest: ArtifactManifest) -> None:
    for path, entry in ENTRIES.items():
        found = manifest.get_entry_by_path(path)
        assert found is not None
        assert (found.path, found.digest, found.size, found.ref) == (path, entry.digest, entry.size, None)
    for path in ["", "0", "a/", "a/a", "zz", "b/x/y", "\U0010ffff"]:
        assert manifest.get_entry_by_path(path) is None


@pytest.mark.parametrize(
    ("directory", "expected"),
    [("a", ["a/b", "a/c/d"]), ("a/", ["a/b", "a/c/d"]), ("a/c", ["a/c/d"]), ("absent", []), ("", sorted(ENTRIES))],
)
def test_entries_of_a_folder(manifest: ArtifactManifest, directory: str, expected: list[str]) -> None:
    assert [entry.path for entry in manifest.get_entries_in_directory(directory)] == expected


def test_digest_and_size_are_the_artifacts(manifest: ArtifactManifest) -> None:
    assert manifest.digest() == artifact_digest(ENTRIES)
    assert manifest.size() == sum(entry.size for entry in ENTRIES.values())
    assert manifest.version() == 1


def test_empty_manifest() -> None:
    manifest = ArtifactManifest([ManifestSegment().SerializeToString()])
    assert (len(manifest), manifest.size(), list(manifest.entries)) == (0, 0, [])
    assert manifest.get_entry_by_path("a") is None


def test_references_and_extras_are_with_their_entries() -> None:
    segment = ManifestSegment(paths=["a", "r"], digests=bytes(64), sizes=[1, 2])
    segment.references.add(entry_index=1, uri="s3://b/k", digest="etag")
    segment.extras.add(entry_index=1, json=b'{"etag":"x"}')
    entry = ArtifactManifest([segment.SerializeToString()]).entries["r"]
    assert (entry.ref, entry.digest, entry.extra, entry.size) == ("s3://b/k", "etag", {"etag": "x"}, 2)
    assert entry.ref_target() == "s3://b/k"


def test_decoded_segments_are_not_kept_without_bound() -> None:
    entries = {f"{number:05}": ENTRIES["a"] for number in range(500)}
    manifest = ArtifactManifest(encode_segments(entries))
    for path in entries:
        assert manifest.get_entry_by_path(path) is not None
    assert len(manifest._decoded) == DECODED_SEGMENTS_MAX


def test_entry_made_by_hand() -> None:
    entry = ArtifactManifestEntry("foo", "bar", ref="", birth_artifact_id="", size=0)
    assert repr(entry) == (
        "ArtifactManifestEntry(path='foo', digest='bar', ref='', birth_artifact_id='', size=0, skip_cache=False)"
    )
    assert entry == ArtifactManifestEntry("foo", "bar", ref="", size=0)
    assert entry != ArtifactManifestEntry("foo", "other", ref="", size=0)
    assert entry != "foo"
    with pytest.raises(NotImplementedError):
        entry.parent_artifact()


def test_entry_takes_its_size_from_the_local_file(tmp_path: object) -> None:
    assert ArtifactManifestEntry("x", "d", local_path=__file__).size
    with pytest.raises(OSError, match="absent"):
        ArtifactManifestEntry("x", "d", local_path="absent")


paths = st.text(alphabet="abé/0", min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.sets(paths, max_size=40), paths)
def test_look_ups_agree_with_a_dict(names: set[str], other: str) -> None:
    entries = dict.fromkeys(names, ENTRIES["a"])
    manifest = ArtifactManifest(encode_segments(entries))
    assert list(manifest.entries) == sorted(names)
    assert (other in manifest.entries) == (other in names)
    assert [path for path, _ in manifest.items_from(other)] == sorted(n for n in names if n.startswith(other))
    assert [path for path, _ in manifest.items_after(other)] == sorted(n for n in names if n > other)
