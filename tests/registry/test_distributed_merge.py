"""The merge of parts, against a model that is a dict: same entries, same cuts, whatever the order and the number of parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_contract.digest import digest_of
from holdfast_contract.manifest_order import segment_bounds
from holdfast_contract.reasons import Reason
from holdfast_registry import manifest_merge
from holdfast_registry.errors import RegistryError
from holdfast_registry.manifest_merge import MergeInput, PartMerge, covers, input_of
from holdfastpb.common.v1.manifest_pb2 import Extra, LongChunkList, ManifestRoot, ManifestSegment, Origin, Reference
from registry.client import content_of_segments

Part = dict[str, bytes]

NAMES = st.text("ab/", min_size=1, max_size=4).filter(lambda path: all(path.split("/")))
PARTS = st.lists(
    st.tuples(st.sampled_from(["w1", "w2", "w3"]), st.dictionaries(NAMES, st.sampled_from([b"x", b"y"]), max_size=6)),
    min_size=1,
    max_size=6,
)


def segments_of(files: Part, entries_each: int) -> list[ManifestSegment]:
    paths = sorted(files)
    return [
        ManifestSegment(
            paths=some, digests=b"".join(digest_of(files[path]) for path in some), sizes=[len(files[p]) for p in some]
        )
        for some in (paths[at : at + entries_each] for at in range(0, len(paths), entries_each))
    ]


def stored(segments: Sequence[ManifestSegment], number: int) -> MergeInput:
    """An input that reads from memory instead of from packs."""
    content = content_of_segments(segments)
    chunks = {digest_of(chunk): chunk for chunk in content.chunks}
    return input_of(ManifestRoot.FromString(content.root), number, lambda digests: [chunks[d] for d in digests])


def merge(parts: Sequence[tuple[str, Part]], folder: Path, entries_each: int = 2) -> list[ManifestSegment]:
    inputs = [stored(segments_of(files, entries_each), number) for number, (_, files) in enumerate(parts)]
    return list(PartMerge([writer for writer, _ in parts], folder).segments(inputs))


def model(parts: Sequence[tuple[str, Part]]) -> Part | None:
    """What should come out; None: a conflict."""
    of_writer: dict[str, Part] = {}
    for writer, files in parts:
        of_writer.setdefault(writer, {}).update(files)
    whole: Part = {}
    for files in of_writer.values():
        if any(whole.get(path, data) != data for path, data in files.items()):
            return None
        whole.update(files)
    folders = {path[:at] for path in whole for at, character in enumerate(path) if character == "/"}
    return None if folders & whole.keys() else whole


def is_well_formed(files: Part) -> bool:
    """One part is checked when it is brought: a file is no folder."""
    return model([("w", files)]) is not None


@settings(max_examples=300, deadline=None)
@given(parts=PARTS, entries_each=st.integers(1, 3), at_once=st.sampled_from([2, 64]))
def test_merge_is_that_of_dicts(
    parts: list[tuple[str, Part]], entries_each: int, at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = [(writer, files) for writer, files in parts if is_well_formed(files)]
    folder = tmp_path_factory.getbasetemp()
    expected = model(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_merge, "PARTS_AT_ONCE", at_once)
        if expected is None:
            with pytest.raises(RegistryError) as refused:
                merge(parts, folder, entries_each)
            assert refused.value.reason is Reason.PART_CONFLICT
            return
        segments = merge(parts, folder, entries_each)
    paths = [path for segment in segments for path in segment.paths]
    digests = b"".join(segment.digests for segment in segments)
    assert paths == sorted(expected)
    assert digests == b"".join(digest_of(expected[path]) for path in paths)


@pytest.mark.parametrize("writers", [1, 3, 7])
def test_cuts_are_those_of_a_single_writer(tmp_path: Path, writers: int) -> None:
    whole = {f"{number * 7919 % 100000:06}": b"%d" % number for number in range(12000)}
    items = sorted(whole.items())
    parts = [(f"w{writer}", dict(items[writer::writers])) for writer in range(writers)]
    segments = merge(parts, tmp_path, entries_each=1000)
    paths = [path for path, _ in items]
    bounds = segment_bounds(paths, [len(path) + 44 for path in paths])
    assert [list(segment.paths) for segment in segments] == [paths[first:end] for first, end in bounds]


def test_everything_that_an_entry_has_comes_along(tmp_path: Path) -> None:
    chunks = b"".join(digest_of(b"%d" % number) for number in range(3))
    rich = ManifestSegment(
        paths=["chunked", "long", "reference", "taken"],
        digests=digest_of(b"1") + digest_of(b"2") + bytes(32) + digest_of(b"4"),
        sizes=[300_000, 10**10, 7, 4],
        chunked_entries=[0],
        chunk_counts=[3],
        chunk_digests=chunks,
        chunk_lengths=[100_000] * 3,
        references=[Reference(entry_index=2, uri="s3://bucket/key", digest="etag")],
        extras=[Extra(entry_index=2, json=b'{"etag":"etag"}')],
        long_chunk_lists=[
            LongChunkList(entry_index=1, list_digests=chunks[:64], list_lengths=[9, 9], chunk_count=5000)
        ],
        origins=[Origin(entry_index=3, uri="holdfast-artifact://id/path")],
    )
    plain = segments_of({"between": b"b", "zlast": b"z"}, 2)
    inputs = [stored([rich], 0), stored(plain, 1)]
    (segment,) = PartMerge(["w1", "w2"], tmp_path).segments(inputs)
    assert list(segment.paths) == ["between", "chunked", "long", "reference", "taken", "zlast"]
    assert (list(segment.chunked_entries), segment.chunk_digests) == ([1], chunks)
    assert segment.references == [Reference(entry_index=3, uri="s3://bucket/key", digest="etag")]
    assert segment.extras == [Extra(entry_index=3, json=b'{"etag":"etag"}')]
    assert [long.entry_index for long in segment.long_chunk_lists] == [2]
    assert segment.origins == [Origin(entry_index=4, uri="holdfast-artifact://id/path")]


def test_more_parts_than_are_merged_at_once(tmp_path: Path) -> None:
    parts = [(f"w{number}", {f"f{number:04}": b"%d" % number, "shared": b"s"}) for number in range(200)]
    segments = merge(parts, tmp_path)
    assert sum(len(segment.paths) for segment in segments) == 201


@settings(max_examples=200, deadline=None)
@given(finished=st.dictionaries(NAMES, st.sampled_from([b"x", b"y"])), part=st.dictionaries(NAMES, st.just(b"x")))
def test_a_late_part_is_covered_when_all_of_it_is_there(finished: Part, part: Part) -> None:
    is_covered = all(finished.get(path) == data for path, data in part.items())
    assert covers(stored(segments_of(finished, 2), 0), stored(segments_of(part, 2), 1)) is is_covered
