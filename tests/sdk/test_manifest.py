"""Manifests from encoded segments: look-ups, order, entries made on demand."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdfast
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
    assert len(manifest._source._decoded) == DECODED_SEGMENTS_MAX  # type: ignore[union-attr]


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


def test_documented_names_are_the_same_classes() -> None:
    assert holdfast.ArtifactManifestV1 is ArtifactManifest
    assert holdfast.ArtifactEntry is ArtifactManifestEntry
    assert holdfast.ArtifactManifestV1.version() == 1


def test_an_entry_taken_over_from_another_artifact_is_a_file_that_says_from_where() -> None:
    segment = ManifestSegment(paths=["mine", "theirs"], digests=bytes(32) + b"\1" * 32, sizes=[1, 2])
    segment.origins.add(entry_index=1, uri="holdfast-artifact://0123/deep/theirs")
    entries = ArtifactManifest([segment.SerializeToString()]).entries
    assert (entries["mine"].ref, entries["mine"].is_reference) == (None, False)
    assert entries["theirs"].ref == entries["theirs"].ref_target() == "holdfast-artifact://0123/deep/theirs"
    assert not entries["theirs"].is_reference
    assert entries["theirs"].digest == (b"\1" * 32).hex()


def test_changing_a_logged_manifest_changes_a_copy(manifest: ArtifactManifest) -> None:
    other = ArtifactManifest(encode_segments(ENTRIES))
    manifest.add_entry(ArtifactManifestEntry("aa", "11" * 32, size=7))
    manifest.remove_entry(manifest.entries["b/x"])
    assert sorted({*ENTRIES, "aa"} - {"b/x"}) == list(manifest.entries) == list(manifest.paths())
    assert manifest.size() == other.size() + 7 - len("b/x")
    assert [entry.path for entry in manifest.get_entries_in_directory("a")] == ["a/b", "a/c/d"]
    assert [path for path, _ in manifest.items_after("c")] == ["z", "z/y", "é"]
    assert manifest.digest() != other.digest()
    manifest.add_entry(other.entries["b/x"])
    manifest.remove_entry(manifest.entries["aa"])
    assert manifest.digest() == other.digest() == artifact_digest(ENTRIES)


def test_a_path_is_not_added_twice_with_two_contents(manifest: ArtifactManifest) -> None:
    same, different = manifest.entries["a"], ArtifactManifestEntry("a", "00" * 32, size=1)
    manifest.add_entry(same)
    with pytest.raises(ValueError, match="same path twice: 'a'"):
        manifest.add_entry(different)
    assert manifest.entries["a"] == same
    manifest.add_entry(different, overwrite=True)
    assert manifest.entries["a"] == different


def test_what_is_not_there_cannot_be_removed(manifest: ArtifactManifest) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        manifest.remove_entry(ArtifactManifestEntry("absent", "00" * 32))


def test_json_has_w_and_b_s_keys_and_comes_back(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"12345")
    made = holdfast.ArtifactManifestV1(entries={})
    made.add_entry(ArtifactManifestEntry("f", "d", birth_artifact_id="b", local_path=local))
    made.add_entry(ArtifactManifestEntry("r", "etag", ref="s3://b/k", size=3, extra={"etag": '"e"'}))
    shown = made.to_manifest_json()
    assert set(shown) == {"version", "storagePolicy", "storagePolicyConfig", "contents"}
    assert shown["version"] == 1
    assert shown["contents"] == {
        "f": {"digest": "d", "birthArtifactID": "b", "size": 5},
        "r": {"digest": "etag", "ref": "s3://b/k", "size": 3, "extra": {"etag": '"e"'}},
    }
    assert made.to_manifest_json(include_local=True)["contents"]["f"]["local_path"] == str(local)
    back = ArtifactManifest.from_manifest_json(json.loads(json.dumps(shown)))
    assert dict(back.entries) == dict(made.entries)
    assert (back.digest(), back.size(), len(back)) == (made.digest(), 8, 2)


def test_a_manifest_that_w_and_b_wrote_is_read() -> None:
    theirs = {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": {"x": {"digest": "XUFAKrxLKna5cZ2REBfFkg==", "size": 5, "skip_cache": False, "local_path": "/s/x"}},
        "later": "addition",
    }
    entry = ArtifactManifest.from_manifest_json(theirs).entries["x"]
    assert (entry.digest, entry.size, entry.local_path, entry.is_reference) == (
        "XUFAKrxLKna5cZ2REBfFkg==",
        5,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"storagePolicy": "holdfast-storage-policy-v1"}, "Must contain version field"),
        ({"version": 2, "storagePolicy": "holdfast-storage-policy-v1"}, "Invalid manifest version"),
        ({"version": 1, "storagePolicy": "other"}, "Failed to find storage policy 'other'"),
        ({"version": 1}, "Failed to find storage policy"),
        ({"version": 1, "storagePolicy": "wandb-storage-policy-v1", "contents": {"x": {"size": 1}}}, "'x'.*no digest"),
    ],
)
def test_json_that_is_no_manifest_is_refused(broken: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArtifactManifest.from_manifest_json(broken)


def test_empty_fields_of_an_entry_are_left_out_of_its_json() -> None:
    assert ArtifactManifestEntry("p", "d", size=0).to_json() == {"digest": "d", "size": 0}
    assert ArtifactManifestEntry("p", "d").to_json() == {"digest": "d"}
