"""A draft over a base sends what has changed: the new file, the segments around changed paths, and the list of segments."""

import shutil
from collections.abc import Iterator

import pytest

from holdfast_contract.digest import digest_of
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.log_pb2 import AddBase, AddBytes, JobProgress, Record, Remove
from holdfastpb.registry.v1.version_pb2 import ListManifestSegmentsRequest
from support.log_client import LogClient, LogSession, bytes_record, tree_record
from support.processes import Host, running_host
from support.trees import write_tree

FILES = 12_000
NEW = b"new".ljust(1000, b".")
OTHER = b"other".ljust(1000, b".")
ROOT_BYTES_PER_SEGMENT = 160
"""Digest, bounds, numbers."""
PACK_BYTES = 2_000
"""Header, footer and trailer of the one pack that is sent."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def base(host: Host, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version of many files that are gone from this machine."""
    source = write_tree(
        tmp_path_factory.mktemp("in") / "in", {f"d{at % 50}/f{at:05}": b"%d" % at for at in range(FILES)}
    )
    with LogClient(host.places) as client:
        session = LogSession("c")
        session.attach(client)
        session.send([tree_record(source)])
        session.finalize()
        version: str = client.wait(session.session_id).version.version_id
    shutil.rmtree(source)
    return version


def segments_of(client: LogClient, version_id: str) -> list[bytes]:
    found: list[bytes] = []
    token = ""
    while True:
        request = ListManifestSegmentsRequest(version_id=version_id, page_token=token)
        page = client.patiently(client.versions.ListManifestSegments, request)
        found.extend(page.segments)
        token = page.next_page_token
        if not token:
            return found


def changed(host: Host, client: LogClient, base: str, records: list[Record]) -> tuple[str, JobProgress, int]:
    """A version over the base: its id, its job's progress, and by how much the store has grown."""
    before = stored_bytes(host)
    session = LogSession("c")
    session.attach(client)
    session.send([Record(add_base=AddBase(version_id=base)), *records])
    session.finalize()
    answer = client.wait(session.session_id)
    assert answer.HasField("version"), answer.error.message
    return answer.version.version_id, answer.progress, stored_bytes(host) - before


def stored_bytes(host: Host) -> int:
    assert host.registry is not None
    folder = host.folder / "registry" / "packs"
    assert folder.is_dir()
    return sum(file.stat().st_size for file in folder.rglob("*.pack"))


@pytest.mark.parametrize(
    ("records", "gone", "added"),
    [
        ([bytes_record("d7/between", NEW)], set(), {"d7/between": NEW}),
        ([Record(add_bytes=AddBytes(path="d7/f00007", data=NEW, overwrite=True))], set(), {"d7/f00007": NEW}),
        ([Record(remove=Remove(path="d7/f00007"))], {"d7/f00007"}, {}),
        ([Record(remove=Remove(path="d7/f00007")), bytes_record("d7/f00007", OTHER)], set(), {"d7/f00007": OTHER}),
    ],
    ids=["added", "replaced", "removed", "removed and added"],
)
def test_only_what_has_changed_is_sent(
    host: Host, base: str, records: list[Record], gone: set[str], added: dict[str, bytes]
) -> None:
    with LogClient(host.places) as client:
        old = segments_of(client, base)
        version_id, progress, growth = changed(host, client, base, records)
        new = segments_of(client, version_id)
        expected = {f"d{at % 50}/f{at:05}": digest_of(b"%d" % at) for at in range(FILES)}
        expected = {path: digest for path, digest in expected.items() if path not in gone}
        assert client.entries(version_id) == expected | {path: digest_of(data) for path, data in added.items()}
    unshared = [segment for segment in new if segment not in set(old)]
    assert len(old) > 5
    assert 1 <= len(unshared) <= 2, [ManifestSegment.FromString(segment).paths[0] for segment in unshared]
    manifest_bytes = sum(map(len, unshared)) + ROOT_BYTES_PER_SEGMENT * len(new)
    assert 0 < progress.bytes_sent <= sum(map(len, added.values())) + manifest_bytes + PACK_BYTES
    assert growth == progress.bytes_sent
