"""Bundles from somebody who means harm: refused with a typed error, in bounded memory, and the daemon goes on."""

import os
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import psutil
import pytest
import zstandard
from blake3 import blake3

from holdfast_contract.bundle import BundleWriter
from holdfast_contract.digest import EMPTY_DIGEST, ArtifactDigest
from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, ManifestSegment, SegmentRef
from holdfastpb.daemon.v1.bundle_pb2 import DescribeBundleRequest, ImportBundleRequest
from support.figures import figure
from support.log_client import LogClient, LogSession, bytes_record
from support.processes import Host, running_host

TYPED = frozenset(
    {
        "PACK_DAMAGED",
        "CHUNK_DIGEST_MISMATCH",
        "MANIFEST_INVALID",
        "INVALID_PATH",
        "PATH_COLLISION",
        "INVALID_NAME",
        "INVALID_METADATA",
        "INVALID_ARGUMENT",
    }
)
MEMORY_BYTES_MAX = 200 * MIB
"""What the daemon may grow by while it is given bundles."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("hostile")) as host:
        host.start()
        yield host


@pytest.fixture(autouse=True)
def daemon_survives(host: Host, client: LogClient) -> Iterator[None]:
    assert host.daemon.process is not None
    process = psutil.Process(host.daemon.process.pid)
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss < before + MEMORY_BYTES_MAX
    session = LogSession("afterwards")
    session.attach(client)
    session.send([bytes_record("file", os.urandom(10))])
    session.finalize()
    assert client.wait(session.session_id).HasField("version")


@pytest.fixture
def client(host: Host) -> Iterator[LogClient]:
    with LogClient(host.places) as client:
        yield client


class Forger:
    """Writes whatever frames and versions are wanted, with right checksums around them."""

    def __init__(self) -> None:
        self.file = bytearray()
        self.writer = BundleWriter(self._write, os.urandom(16))

    def _write(self, buffers: Sequence[bytes | memoryview]) -> None:
        for buffer in buffers:
            self.file += buffer

    def chunk(self, data: bytes) -> bytes:
        digest: bytes = blake3(data).digest()
        if self.writer.pack_of(digest) is None:
            self.writer.append(digest, data, len(data), Codec.RAW)
        return digest

    def segment(self, files: dict[str, bytes]) -> ManifestSegment:
        digests = b"".join(self.chunk(data) if data else EMPTY_DIGEST for data in files.values())
        return ManifestSegment(paths=list(files), digests=digests, sizes=[len(data) for data in files.values()])

    def version(self, *segments: ManifestSegment) -> CarriedVersion:
        digest, root = ArtifactDigest(), ManifestRoot()
        for segment in segments:
            encoded = segment.SerializeToString()
            root.segments.append(SegmentRef(digest=self.chunk(encoded), length=len(encoded)))
            texts = [segment.digests[i : i + 32].hex() for i in range(0, len(segment.digests), 32)]
            if len(texts) == len(segment.paths):
                digest.update(list(segment.paths), texts)
        encoded = root.SerializeToString()
        return CarriedVersion(
            entity="local",
            project="hostile",
            collection=f"c{os.urandom(6).hex()}",
            type="dataset",
            digest=digest.hexdigest(),
            size_bytes=sum(sum(s.sizes) for s in segments),
            entry_count=sum(len(s.paths) for s in segments),
            metadata_json=b"{}",
            origin_id=os.urandom(16).hex(),
            manifest_root=self.chunk(encoded),
            manifest_root_bytes=len(encoded),
            manifest_packs=[0],
            content_packs=[0],
        )

    def finish(self, path: Path, *versions: CarriedVersion) -> Path:
        self.writer.finish([version.SerializeToString() for version in versions])
        path.write_bytes(self.file)
        return path


def import_(client: LogClient, path: Path) -> str:
    """The reason why a bundle is refused; empty when it is taken and committed."""
    try:
        request = ImportBundleRequest(local_path=os.fsencode(path))
        job_ids = client.call(client.bundles.ImportBundle, request).job_ids
    except grpc.RpcError as error:
        trailer = dict(error.trailing_metadata())  # type: ignore[attr-defined]
        return ErrorDetail.FromString(trailer["holdfast-error-bin"]).reason
    for job_id in job_ids:
        ended = client.wait(job_id)
        if ended.HasField("error"):
            return ended.error.reason
    return ""


def test_an_honest_forgery_is_taken(client: LogClient, tmp_path: Path) -> None:
    forger = Forger()
    version = forger.version(forger.segment({"a": b"one", "b/c": b"", "d": b"two"}))
    assert import_(client, forger.finish(tmp_path / "b", version)) == ""


@pytest.mark.parametrize(
    "path", ["../escape", "/absolute", "a/../../b", "a\\..\\b", "a//b", "", "x" * 2000, "a\0b", ".", "a/."]
)
def test_a_path_that_leaves_its_folder_is_refused(client: LogClient, tmp_path: Path, path: str) -> None:
    forger = Forger()
    version = forger.version(forger.segment({path: b"data"}))
    assert import_(client, forger.finish(tmp_path / "b", version)) in TYPED


def test_entries_out_of_order_or_twice_or_below_a_file_are_refused(client: LogClient, tmp_path: Path) -> None:
    for number, names in enumerate((["b", "a"], ["a", "a/b"])):
        forger = Forger()
        version = forger.version(forger.segment(dict.fromkeys(names, b"data")))
        assert import_(client, forger.finish(tmp_path / str(number), version)) in TYPED
    forger = Forger()
    segment = forger.segment({"a": b"data"})
    version = forger.version(segment, segment)
    assert import_(client, forger.finish(tmp_path / "twice", version)) in TYPED


@pytest.mark.parametrize(
    "lie",
    [
        {"digest": "0" * 64},
        {"entry_count": 2**63},
        {"size_bytes": 2**63},
        {"manifest_root": b""},
        {"manifest_root": bytes(32)},
        {"manifest_root_bytes": 0},
        {"manifest_root_bytes": 2**31},
        {"manifest_packs": [0, 0]},
        {"manifest_packs": [7]},
        {"manifest_packs": []},
        {"content_packs": [2**31]},
        {"content_packs": [0] * 100_000},
        {"origin_id": "short"},
        {"origin_id": "../../../../../../../../../../etc"},
        {"collection": "../escape"},
        {"entity": "a/b"},
        {"project": ""},
        {"type": "\0"},
        {"metadata_json": b"["},
        {"aliases": ["a/b:c"]},
        {"tags": ["\x1b[2J"]},
    ],
    ids=lambda lie: "-".join(f"{k}={v!s:.20}" for k, v in lie.items()),
)
def test_a_version_that_lies_is_refused(client: LogClient, tmp_path: Path, lie: dict[str, object]) -> None:
    forger = Forger()
    version = forger.version(forger.segment({"a": b"data"}))
    for name, value in lie.items():
        version.ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, list):
            getattr(version, name).extend(value)
        else:
            setattr(version, name, value)
    assert import_(client, forger.finish(tmp_path / "b", version)) in TYPED


def test_columns_that_do_not_fit_each_other_are_refused(client: LogClient, tmp_path: Path) -> None:
    for number, change in enumerate(("digests", "sizes", "chunk_counts", "chunk_lengths")):
        forger = Forger()
        segment = forger.segment({"a": b"data"})
        if change == "digests":
            segment.digests = segment.digests[:31]
        else:
            getattr(segment, change).append(2**31)
        version = forger.version(segment)
        assert import_(client, forger.finish(tmp_path / str(number), version)) in TYPED


def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused_before_it_does(client: LogClient, tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(512 * MIB))
    assert len(bomb) < MIB
    for number, length in enumerate((1, MIB)):
        forger = Forger()
        data = bytes(length)
        digest: bytes = blake3(data).digest()
        forger.writer.append(digest, bomb, length, Codec.ZSTD)
        version = forger.version(ManifestSegment(paths=["bomb"], digests=digest, sizes=[length]))
        assert import_(client, forger.finish(tmp_path / str(number), version)) in TYPED


def test_a_chunk_with_other_bytes_than_its_digest_says_is_refused(client: LogClient, tmp_path: Path) -> None:
    forger = Forger()
    version = forger.version(forger.segment({"a": b"good data"}))
    forger.finish(tmp_path / "b", version)
    (tmp_path / "b").write_bytes(bytes(forger.file).replace(b"good data", b"evil data"))
    assert import_(client, tmp_path / "b") in ("PACK_DAMAGED", "CHUNK_DIGEST_MISMATCH")


def test_a_manifest_that_names_a_chunk_which_nobody_has_fails_its_job(client: LogClient, tmp_path: Path) -> None:
    forger = Forger()
    segment = ManifestSegment(paths=["a"], digests=blake3(os.urandom(8)).digest(), sizes=[8])
    version = forger.version(segment)
    assert import_(client, forger.finish(tmp_path / "b", version)) == "BLOBS_MISSING"


@pytest.mark.parametrize("part", range(figure(1, 5)))
def test_a_bundle_with_any_flipped_bit_or_cut_anywhere_is_refused_or_sound(
    client: LogClient, tmp_path: Path, part: int
) -> None:
    rng = random.Random(part)
    for attempt in range(figure(60, 1000)):
        forger = Forger()
        version = forger.version(forger.segment({"a": rng.randbytes(200), "b": b"x" * 300}))
        forger.finish(tmp_path / "b", version)
        data = bytearray(forger.file)
        if attempt % 3:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del data[rng.randrange(len(data)) :]
        (tmp_path / "b").write_bytes(data)
        # The four bytes that say nothing may be any.
        assert import_(client, tmp_path / "b") in TYPED or data[:-12] == forger.file[:-12]


def test_what_is_no_file_is_refused(client: LogClient, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "absent", "."):
        request = DescribeBundleRequest(local_path=os.fsencode(tmp_path / name))
        with pytest.raises(grpc.RpcError) as error:
            client.call(client.bundles.DescribeBundle, request)
        trailer = dict(error.value.trailing_metadata())  # type: ignore[attr-defined]
        assert ErrorDetail.FromString(trailer["holdfast-error-bin"]).reason.startswith("FILE_")
    for path in (b"relative", b"", b"/nul\0byte"):
        with pytest.raises(grpc.RpcError) as error:
            client.call(client.bundles.DescribeBundle, DescribeBundleRequest(local_path=path))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(client: LogClient, tmp_path: Path) -> None:
    with (tmp_path / "b").open("wb") as file:
        file.write(b"HFBNDL01" + bytes(24))
        file.truncate(1 << 40)
        file.seek((1 << 40) - 64)
        file.write(struct.pack("<32sQIII4x8s", bytes(32), 32, 2**32 - 1, 2**32 - 1, 2**32 - 1, b"HFBNDLEN"))
    assert import_(client, tmp_path / "b") == "PACK_DAMAGED"
