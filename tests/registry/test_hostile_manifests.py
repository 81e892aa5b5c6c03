"""Whatever a client writes into a manifest, only one that keeps every rule is committed."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from holdfast_contract.digest import EMPTY_DIGEST, digest_of
from holdfastpb.common.v1.manifest_pb2 import (
    ChunkList,
    Extra,
    LongChunkList,
    ManifestRoot,
    ManifestSegment,
    Origin,
    Reference,
)
from holdfastpb.registry.v1.version_pb2 import ListVersionsRequest
from registry.client import Client, Content, content_of_segments, reason_of, segment_of

SMALL = b"small file"
BIG = [os.urandom(70_000), os.urandom(80_000)]


def segment(**changes: object) -> ManifestSegment:
    """A sound segment with one small and one large file, and what a test changes in it."""
    sound = ManifestSegment(
        paths=["a", "b"],
        digests=digest_of(SMALL) + digest_of(b"".join(BIG)),
        sizes=[len(SMALL), 150_000],
        chunked_entries=[1],
        chunk_counts=[2],
        chunk_digests=b"".join(map(digest_of, BIG)),
        chunk_lengths=[70_000, 80_000],
    )
    for name, value in changes.items():
        sound.ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, list):
            getattr(sound, name).extend(value)
        else:
            setattr(sound, name, value)
    return sound


def origin(entry_index: int, uri: str = "holdfast-artifact://abc/a") -> Origin:
    return Origin(entry_index=entry_index, uri=uri)


def attempt(client: Client, collection: str, content: Content) -> str:
    """Returns the reason for which a content is refused; everything it names is stored."""
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, [*content.chunks])
    reason = reason_of(lambda: client.commit(begun, content))
    request = ListVersionsRequest(entity="team", project="vision", collection=collection)
    assert client.call(client.versions.ListVersions, request).total_count == 0
    return reason


def content_with(segments: list[ManifestSegment], **root_changes: object) -> Content:
    content = content_of_segments(segments, [SMALL, *BIG])
    if root_changes:
        root = ManifestRoot.FromString(content.root)
        for name, value in root_changes.items():
            setattr(root, name, value)
        content.root = root.SerializeToString()
        content.chunks.append(content.root)
    return content


def test_sound_manifest_with_a_large_file_is_committed(client: Client, collection: str) -> None:
    version = client.log(collection, content_with([segment()])).version
    assert version.size_bytes == 150_010


def test_sound_origins_are_kept(client: Client, collection: str) -> None:
    version = client.log(collection, content_with([segment(origins=[origin(0), origin(1)])])).version
    assert version.entry_count == 2


def short(digests: bytes) -> bytes:
    return digests[:-1]


BROKEN: dict[str, Callable[[], ManifestSegment]] = {
    "digests of another number": lambda: segment(digests=digest_of(SMALL)),
    "digests not whole": lambda: segment(digests=short(digest_of(SMALL) * 2)),
    "sizes of another number": lambda: segment(sizes=[len(SMALL)]),
    "size of a small file is not its chunk's": lambda: segment(sizes=[len(SMALL) + 1, 150_000]),
    "size of a large file is not its chunks'": lambda: segment(sizes=[len(SMALL), 150_001]),
    "chunk lengths are not the chunks'": lambda: segment(chunk_lengths=[70_001, 79_999]),
    "large file without chunk list": lambda: segment(
        chunked_entries=[], chunk_counts=[], chunk_digests=b"", chunk_lengths=[]
    ),
    "small file with chunk list": lambda: segment(
        chunked_entries=[0, 1],
        chunk_counts=[1, 2],
        chunk_digests=digest_of(SMALL) + b"".join(map(digest_of, BIG)),
        chunk_lengths=[len(SMALL), 70_000, 80_000],
    ),
    "chunk list of an entry that is none": lambda: segment(chunked_entries=[2]),
    "chunk lists out of order": lambda: segment(chunked_entries=[1, 0], chunk_counts=[1, 1]),
    "chunk counts that do not add up": lambda: segment(chunk_counts=[3]),
    "empty chunk list": lambda: segment(chunked_entries=[0, 1], chunk_counts=[0, 2]),
    "chunk digests not whole": lambda: segment(chunk_digests=digest_of(BIG[0])),
    "chunk over 1 MiB": lambda: segment(sizes=[len(SMALL), 1_200_000], chunk_lengths=[1_100_000, 100_000]),
    "empty file with another digest": lambda: segment(sizes=[0, 150_000]),
    "file that is not empty with the digest of one": lambda: segment(digests=EMPTY_DIGEST + digest_of(b"".join(BIG))),
    "reference with a file's digest": lambda: segment(
        references=[Reference(entry_index=0, uri="s3://b/k", digest="x")]
    ),
    "origin of an entry that is none": lambda: segment(origins=[origin(2)]),
    "origins in disorder": lambda: segment(origins=[origin(1), origin(0)]),
    "two origins of one entry": lambda: segment(origins=[origin(0), origin(0)]),
    "origin of a reference": lambda: segment(
        digests=bytes(32) + digest_of(b"".join(BIG)),
        references=[Reference(entry_index=0, uri="s3://b/k", digest="x")],
        origins=[origin(0)],
    ),
    "origin that is a draft": lambda: segment(origins=[origin(0, "holdfast-client-artifact://abc/a")]),
    "origin of another scheme": lambda: segment(origins=[origin(0, "s3://bucket/key")]),
    "origin without a path": lambda: segment(origins=[origin(0, "holdfast-artifact://abc")]),
    "origin without an artifact": lambda: segment(origins=[origin(0, "holdfast-artifact:///a")]),
    "origin with a path that leaves": lambda: segment(origins=[origin(0, "holdfast-artifact://abc/../a")]),
    "origin with a path of too many bytes": lambda: segment(
        origins=[origin(0, f"holdfast-artifact://abc/{'x' * 2000}")]
    ),
    "origin with an id of too many characters": lambda: segment(
        origins=[origin(0, f"holdfast-artifact://{'a' * 999}/a")]
    ),
    "reference of an entry that is none": lambda: segment(
        references=[Reference(entry_index=9, uri="s3://b/k", digest="x")]
    ),
    "extra of an entry that is none": lambda: segment(extras=[Extra(entry_index=2, json=b"{}")]),
    "extra without json": lambda: segment(extras=[Extra(entry_index=0)]),
    "long list of few chunks": lambda: segment(
        long_chunk_lists=[LongChunkList(entry_index=0, list_digests=bytes(32), list_lengths=[4], chunk_count=2)]
    ),
    "paths out of order": lambda: segment(paths=["b", "a"]),
    "path twice": lambda: segment(paths=["a", "a"]),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_segment_that_breaks_a_rule_is_refused(client: Client, collection: str, broken: str) -> None:
    made = BROKEN[broken]()
    try:
        content = content_with([made])
    except (ValueError, IndexError):  # too broken even to compute an artifact digest
        content = content_with([segment()])
        content = replace_segment(content, made)
    assert attempt(client, collection, content) == "MANIFEST_INVALID"


def replace_segment(content: Content, made: ManifestSegment) -> Content:
    """Puts a segment under the root, whatever it is."""
    encoded = made.SerializeToString()
    root = ManifestRoot.FromString(content.root)
    root.segments[0].digest = digest_of(encoded)
    root.segments[0].length = len(encoded)
    root.segments[0].size_bytes = root.size_bytes = sum(made.sizes)
    content.root = root.SerializeToString()
    content.chunks += [encoded, content.root]
    return content


@pytest.mark.parametrize(
    "path",
    ["/a", "../a", "a/../b", "a//b", "a/.", "c:/a", "a\\b", "a\x00b", "a\nb", "\u0085", "", "x" * 256, "a/" * 64 + "a"],
)
def test_unsafe_path_is_refused(client: Client, collection: str, path: str) -> None:
    assert attempt(client, collection, content_with([segment_of({path: SMALL})])) == "INVALID_PATH"


def test_entry_that_is_the_folder_of_another_is_refused(client: Client, collection: str) -> None:
    within = content_with([segment_of({"a": SMALL, "a/b": SMALL})])
    assert attempt(client, collection, within) == "PATH_COLLISION"
    across = content_with([segment_of({"a": SMALL, "a!": SMALL}), segment_of({"a/b": SMALL})])
    assert attempt(client, collection, across) == "PATH_COLLISION"


def test_segments_out_of_order_are_refused(client: Client, collection: str) -> None:
    swapped = content_with([segment_of({"b": SMALL}), segment_of({"a": SMALL})])
    assert attempt(client, collection, swapped) == "MANIFEST_INVALID"


def test_extra_that_is_no_small_json_object_is_refused(client: Client, collection: str) -> None:
    for json in (b"[]", b"nonsense", b"[" * 10_000):
        content = content_with([segment(extras=[Extra(entry_index=0, json=json)])])
        assert attempt(client, collection, content) == "INVALID_METADATA"


@pytest.mark.parametrize("field", ["entry_count", "size_bytes"])
def test_root_with_other_figures_is_refused(client: Client, collection: str, field: str) -> None:
    assert attempt(client, collection, content_with([segment()], **{field: 3})) == "MANIFEST_INVALID"


def test_root_that_announces_too_many_entries_is_refused_unread(client: Client, collection: str) -> None:
    assert attempt(client, collection, content_with([segment()], entry_count=5_000_001)) == "TOO_LARGE"


def test_segment_ref_with_other_paths_is_refused(client: Client, collection: str) -> None:
    content = content_with([segment()])
    root = ManifestRoot.FromString(content.root)
    root.segments[0].last_path = "z"
    content.root = root.SerializeToString()
    content.chunks.append(content.root)
    assert attempt(client, collection, content) == "MANIFEST_INVALID"


def test_bytes_that_are_no_message_are_refused(client: Client, collection: str) -> None:
    content = content_with([segment()])
    content.root = b"\xff" * 50
    content.chunks.append(content.root)
    assert attempt(client, collection, content) == "MANIFEST_INVALID"
    content = content_with([segment()])
    root = ManifestRoot.FromString(content.root)
    root.segments[0].digest, root.segments[0].length = digest_of(b"\xff" * 50), 50
    content.root = root.SerializeToString()
    content.chunks += [content.root, b"\xff" * 50]
    assert attempt(client, collection, content) == "MANIFEST_INVALID"


def test_announced_digest_that_is_another_manifests_is_refused(client: Client, collection: str) -> None:
    content = content_with([segment()])
    content.artifact_digest = "0" * 64
    assert attempt(client, collection, content) == "MANIFEST_DIGEST_MISMATCH"
    content.artifact_digest = "not hex"
    assert attempt(client, collection, content) == "INVALID_ARGUMENT"


def long_file(chunks: int) -> tuple[ManifestSegment, list[bytes]]:
    """A file of many chunks, all alike, listed in chunks of their own."""
    chunk = bytes(20)
    parts = [
        ChunkList(digests=digest_of(chunk) * count, lengths=[20] * count).SerializeToString()
        for count in (min(4096, chunks - first) for first in range(0, chunks, 4096))
    ]
    long_list = LongChunkList(
        entry_index=0,
        list_digests=b"".join(map(digest_of, parts)),
        list_lengths=list(map(len, parts)),
        chunk_count=chunks,
    )
    made = ManifestSegment(
        paths=["huge"], digests=digest_of(bytes(20 * chunks)), sizes=[20 * chunks], long_chunk_lists=[long_list]
    )
    return made, [chunk, *parts]


def test_very_large_file_lists_its_chunks_elsewhere(client: Client, collection: str) -> None:
    made, chunks = long_file(5000)
    content = content_of_segments([made], chunks)
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks[1:])
    assert client.commit(begun, content).missing_digests == digest_of(chunks[0])
    client.bring(begun.lease.lease_id, chunks[:1])
    assert client.commit(begun, content).version.size_bytes == 100_000


def test_long_list_that_does_not_add_up_is_refused(client: Client, collection: str) -> None:
    made, chunks = long_file(5000)
    made.sizes[0] += 1
    assert attempt(client, collection, content_of_segments([made], chunks)) == "MANIFEST_INVALID"
    made, chunks = long_file(5000)
    made.long_chunk_lists[0].chunk_count = 5001
    assert attempt(client, collection, content_of_segments([made], chunks)) == "MANIFEST_INVALID"


def test_digest_of_a_large_file_does_not_pass_for_a_chunk(client: Client, collection: str) -> None:
    client.log(collection, content_with([segment()]))
    whole = digest_of(b"".join(BIG))
    forged = ManifestSegment(
        paths=["a2", "b"],
        digests=digest_of(SMALL) + whole,
        sizes=[len(SMALL), 150_000],
        chunked_entries=[1],
        chunk_counts=[1],
        chunk_digests=whole,
        chunk_lengths=[150_000],
    )
    content = content_of_segments([forged], [SMALL])
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks)
    assert client.commit(begun, content).missing_digests == whole


def test_reference_does_not_pass_for_a_chunk(client: Client, collection: str) -> None:
    reference = Reference(entry_index=0, uri="s3://b/k", digest="x")
    kept = ManifestSegment(paths=["far"], digests=bytes(32), sizes=[12], references=[reference])
    client.log(collection, content_of_segments([kept]))
    content = content_of_segments([ManifestSegment(paths=["far"], digests=bytes(32), sizes=[12])])
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks)
    assert client.commit(begun, content).missing_digests == bytes(32)


def test_chunks_of_the_latest_version_need_not_be_brought_again(client: Client, collection: str) -> None:
    client.log(collection, content_with([segment()]))
    content = content_of_segments([segment(paths=["a", "renamed"])])
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks)
    assert client.commit(begun, content).version.version_index == 1
