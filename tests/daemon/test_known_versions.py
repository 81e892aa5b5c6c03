"""What the daemon remembers of versions: for how long, in which bounds, and what makes it forget."""

import random

from holdfast_daemon.pipeline.fetch_tasks import decode_entries
from holdfast_daemon.pipeline.known_versions import FRESH_MS, VERSIONS_BYTES_MAX, KnownVersions
from holdfast_daemon.pipeline.segment_cache import Segment, SegmentCache
from holdfastpb.registry.v1.version_pb2 import (
    CommitVersionResponse,
    ResolveVersionRequest,
    Version,
    VersionState,
)
from support.fake_registry import make_segment

DIGEST = "ab" * 32


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def version(number: int = 1, digest: str = DIGEST, **more: object) -> Version:
    return Version(
        version_id=f"{number:032x}",
        entity="e",
        project="p",
        collection="c",
        digest=digest,
        state=VersionState.VERSION_STATE_COMMITTED,
        **more,  # type: ignore[arg-type]
    )


def asking(alias: str) -> ResolveVersionRequest:
    return ResolveVersionRequest(entity="e", project="p", collection="c", alias=alias)


async def test_only_a_whole_digest_is_answered() -> None:
    known = KnownVersions()
    for alias in (DIGEST, "latest", "v1", DIGEST[:32]):
        known.learn(version(), known.generation, asking(alias))
    assert await known.resolve(asking(DIGEST)) == version()
    for alias in ("latest", "v1", DIGEST[:32], "cd" * 32):
        assert await known.resolve(asking(alias)) is None


async def test_an_answer_that_a_change_has_overtaken_is_not_remembered() -> None:
    known = KnownVersions()
    asked_at = known.generation
    known.forget(version().version_id)
    known.learn(version(), asked_at, asking(DIGEST))
    assert await known.resolve(asking(DIGEST)) is None
    assert known.get(version().version_id) is None


async def test_an_alias_that_looks_like_a_digest_is_not_taken_for_one() -> None:
    known = KnownVersions()
    known.learn(version(digest="cd" * 32), known.generation, asking(DIGEST))
    assert await known.resolve(asking(DIGEST)) is None


async def test_an_answer_counts_for_ten_minutes_and_not_beyond_the_version_s_own_end() -> None:
    clock = Clock()
    known = KnownVersions(clock_ms=clock)
    known.learn(version(1), known.generation, asking(DIGEST))
    known.learn(version(2, expires_at_ms=clock.now_ms + 1000), known.generation)
    clock.now_ms += 1000
    assert known.get(version(2).version_id) is None
    clock.now_ms += FRESH_MS - 1000
    assert known.get(version(1).version_id) == version(1)
    clock.now_ms += 1
    assert known.get(version(1).version_id) is None
    assert await known.resolve(asking(DIGEST)) is None


async def test_a_change_of_one_version_forgets_that_one() -> None:
    known = KnownVersions()
    known.learn(version(1), known.generation, asking(DIGEST))
    known.learn(version(2), known.generation)
    known.forget(version(1).version_id)
    assert await known.resolve(asking(DIGEST)) is None
    assert known.get(version(1).version_id) is None
    assert known.get(version(2).version_id) is not None
    known.forget_all()
    assert known.get(version(2).version_id) is None


async def test_a_commit_forgets_the_versions_of_its_collection() -> None:
    known = KnownVersions()
    known.learn(version(1), known.generation, asking(DIGEST))
    elsewhere = Version(version_id="f" * 32, entity="e", project="p", collection="d", state=2)
    known.learn(elsewhere, known.generation)
    known.take_note(CommitVersionResponse())
    assert known.get(version(1).version_id) is not None
    known.take_note(CommitVersionResponse(version=version(3)))
    assert await known.resolve(asking(DIGEST)) is None
    assert known.get(elsewhere.version_id) == elsewhere


async def test_memory_is_bounded() -> None:
    known = KnownVersions()
    for number in range(20):
        known.learn(
            version(number, metadata_json=random.Random(number).randbytes(VERSIONS_BYTES_MAX // 4)), known.generation
        )
    assert known._bytes <= VERSIONS_BYTES_MAX
    assert known.get(version(19).version_id) is not None
    assert known.get(version(0).version_id) is None


def segment(*paths: str) -> Segment:
    encoded = make_segment(dict.fromkeys(paths, b"x")).SerializeToString()
    return Segment(encoded, decode_entries(encoded))


def test_segments_are_found_by_the_paths_they_span() -> None:
    cache = SegmentCache()
    cache.put("v", segment("b", "d"))
    cache.put("v", segment("m", "p"))
    for path, first in [("b", "b"), ("c", "b"), ("d", "b"), ("o", "m")]:
        found = cache.find("v", path)
        assert found is not None
        assert found.entries.paths[0] == first
    for path in ("a", "e", "q"):
        assert cache.find("v", path) is None
    assert cache.find("other", "b") is None


def test_a_manifest_is_whole_only_when_all_of_it_is_here() -> None:
    cache = SegmentCache()
    cache.put("v", segment("b"))
    cache.set_whole("v", 2)
    assert cache.whole("v") is None
    cache.put("v", segment("a"))
    cache.set_whole("v", 2)
    assert [one.entries.paths[0] for one in cache.whole("v") or ()] == ["a", "b"]


def test_the_manifest_used_least_recently_makes_room() -> None:
    one = segment("x" * 200)
    cache = SegmentCache(3 * len(one.encoded))
    for name in ("first", "second", "third"):
        cache.put(name, one)
        cache.set_whole(name, 1)
    assert cache.whole("first") is not None
    cache.put("fourth", one)
    assert cache.whole("second") is None
    assert cache.whole("first") is not None
    cache.put("large", segment("a", *("y" * 200 + str(i) for i in range(4))))
    assert cache.whole("first") is None
