"""P9: whatever is done to the packs or rows of a registry, fsck finds it and names the versions that it hurts; on every store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.pack import read_index
from registry.client import Client, content_of
from registry.kept import PLACES, Kept, credentials, kept_at
from registry.processes import run_registry
from support.figures import figure

DAMAGES = figure(7, 1000)
VERSIONS = 6


class Subject:
    """A registry's data with what is known of them from outside."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.needs: dict[str, set[bytes]] = {}
        """Version → digests of its chunks."""

    def fill(self, client: Client) -> None:
        shared = {f"shared/{number}": os.urandom(3000) for number in range(5)}
        for number in range(VERSIONS):
            files = {"own": os.urandom(2000)} | (shared if number % 2 else {})
            content = content_of(files)
            index = client.log(f"c{number % 2}", content).version.version_index
            self.needs[f"team/vision/c{number % 2}:v{index}"] = set(map(digest_of, content.chunks))

    def learn(self) -> None:
        """Reads what the packs hold, while they are sound."""
        self.packs = {pack_id: self.kept.read(pack_id) for pack_id in self.kept.packs()}
        self.frames: dict[bytes, list[tuple[bytes, int, int]]] = {}
        for pack_id, data in self.packs.items():
            index = read_index(lambda at, length, data=data: data[at : at + length], len(data))  # type: ignore[misc]
            ends = [start + length for start, length in zip(index.offsets(), index.stored_lengths, strict=True)]
            self.frames[pack_id] = [
                (index.digest_at(position), start, ends[position]) for position, start in enumerate(index.offsets())
            ]

    def needing(self, digests: set[bytes]) -> set[str]:
        return {version for version, needed in self.needs.items() if needed & digests}

    def held_by(self, pack_id: bytes) -> set[bytes]:
        return {digest for digest, _, _ in self.frames[pack_id]}

    def hit(self, pack_id: bytes, at: int) -> set[bytes]:
        """Chunks that a changed byte hurts: one, or all when it is not in a frame."""
        hit = {digest for digest, start, end in self.frames[pack_id] if start <= at < end}
        return hit or self.held_by(pack_id)


@pytest.fixture(scope="module", params=PLACES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    kept = kept_at(request, tmp_path_factory.mktemp("kept"))
    with credentials(kept):
        subject = Subject(kept)
        with kept.process() as process, Client(process.target) as client:
            subject.fill(client)
            subject.learn()
            assert kept.fsck().is_clean, "also beside a running registry"
            process.stop()
        yield subject


@contextmanager
def flipped(subject: Subject, random: Random) -> Iterator[set[str]]:
    pack_id = random.choice(sorted(subject.packs))
    data = bytearray(subject.packs[pack_id])
    at = random.randrange(len(data))
    data[at] ^= 1 << random.randrange(8)
    with written(subject, {pack_id: bytes(data)}):
        yield subject.needing(subject.hit(pack_id, at))


@contextmanager
def truncated(subject: Subject, random: Random) -> Iterator[set[str]]:
    pack_id = random.choice(sorted(subject.packs))
    data = subject.packs[pack_id]
    with written(subject, {pack_id: data[: random.randrange(len(data))]}):
        yield subject.needing(subject.held_by(pack_id))


@contextmanager
def deleted(subject: Subject, random: Random) -> Iterator[set[str]]:
    pack_id = random.choice(sorted(subject.packs))
    subject.kept.remove(pack_id)
    with written(subject, {pack_id: None}):
        yield subject.needing(subject.held_by(pack_id))


@contextmanager
def swapped(subject: Subject, random: Random) -> Iterator[set[str]]:
    one, other = random.sample(sorted(subject.packs), 2)
    with written(subject, {one: subject.packs[other], other: subject.packs[one]}):
        yield subject.needing(subject.held_by(one) | subject.held_by(other))


@contextmanager
def chunk_row_deleted(subject: Subject, random: Random) -> Iterator[set[str]]:
    digest = random.choice(sorted(set().union(*subject.needs.values())))
    with subject.kept.without("chunk", f"digest = {subject.kept.blob(digest)}"):
        yield subject.needing({digest})


@contextmanager
def pack_row_deleted(subject: Subject, random: Random) -> Iterator[set[str]]:
    pack_id = random.choice(sorted(subject.packs))
    with subject.kept.without("pack", f"pack_id = {subject.kept.blob(pack_id)}"):
        yield subject.needing(subject.held_by(pack_id))


@contextmanager
def version_row_deleted(subject: Subject, random: Random) -> Iterator[set[str]]:
    """Nothing is left of that version but the gap, which is its collection's."""
    version = random.choice(sorted(subject.needs))
    name, _, number = version.rpartition("/")[2].partition(":v")
    where = f"version_index = {number} AND collection_id = (SELECT id FROM collection WHERE name = '{name}')"
    with subject.kept.without("version", where):
        yield {version.partition(":")[0]}


@contextmanager
def written(subject: Subject, packs: Mapping[bytes, bytes | None]) -> Iterator[None]:
    """Writes packs (None: they were changed already), and puts the sound ones back."""
    try:
        for pack_id, data in packs.items():
            if data is not None:
                subject.kept.write(pack_id, data)
        yield
    finally:
        for pack_id in packs:
            subject.kept.write(pack_id, subject.packs[pack_id])


DAMAGING = [flipped, truncated, deleted, swapped, chunk_row_deleted, pack_row_deleted, version_row_deleted]


def test_every_damage_is_found_and_the_versions_that_it_hurts_are_named(subject: Subject) -> None:
    random = Random(9)
    for number in range(DAMAGES):
        damage = DAMAGING[number % len(DAMAGING)]
        with damage(subject, random) as hurt:
            findings = subject.kept.fsck().findings
            named = {version for finding in findings for version in finding.versions}
            named |= {finding.subject for finding in findings if finding.kind == "collection"}
            assert named == hurt, (damage.__name__, findings)
    assert subject.kept.fsck().is_clean, "all was put back"


def test_command_works_with_the_settings_of_the_registry(subject: Subject) -> None:
    environment = {"HOLDFAST_REGISTRY_DATABASE_URL": subject.kept.settings.database_url or ""}
    sound = run_registry(
        "fsck",
        "--deep",
        "--data-dir",
        str(subject.kept.data_dir),
        environment={name: value for name, value in (environment | subject.kept.environment).items() if value},
    )
    assert (sound.returncode, f"{VERSIONS} versions" in sound.stdout) == (0, True), sound


def test_server_that_does_not_answer_is_no_damage(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = {"HOLDFAST_REGISTRY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    done = run_registry("fsck", "--data-dir", str(tmp_path_factory.mktemp("none")), environment=environment)
    assert (done.returncode, done.stdout) == (78, "")
    assert "cannot be reached" in done.stderr
