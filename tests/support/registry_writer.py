"""Writes versions into a real registry by its protocol alone, with every call in the hands of the test."""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from holdfast_contract.digest import ArtifactDigest, digest_of
from holdfast_contract.pack import Codec, build_pack
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, SegmentRef
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceStub
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceStub
from support.fake_registry import make_segment

PATH_SHOWN = 48
"""Characters of a path that a manifest's root shows."""


def new_request_id() -> str:
    return str(uuid.uuid4())


class Registry:
    """Stubs over one channel."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.versions = VersionServiceStub(self.channel)
        self.packs = PackServiceStub(self.channel)


def reason_of(error: grpc.RpcError) -> str:
    """The reason that a failed call carries."""
    for key, value in error.trailing_metadata() or ():
        if key == "holdfast-error-bin":
            return str(ErrorDetail.FromString(value).reason)
    return str(error.code().name)


@dataclass(frozen=True)
class Content:
    """Small files as a writer sends them."""

    digest: str
    root: bytes
    chunks: Mapping[bytes, bytes]
    """By their digests, manifest included."""

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Content":
        ordered = dict(sorted(files.items(), key=lambda item: item[0].encode()))
        digest = ArtifactDigest()
        digest.update(list(ordered), [digest_of(data).hex() for data in ordered.values()])
        chunks = {digest_of(data): data for data in ordered.values() if data}
        root = ManifestRoot(entry_count=len(ordered), size_bytes=sum(map(len, ordered.values())))
        if ordered:
            segment = make_segment(ordered).SerializeToString()
            chunks[digest_of(segment)] = segment
            paths = list(ordered)
            root.segments.append(
                SegmentRef(
                    digest=digest_of(segment),
                    length=len(segment),
                    entry_count=len(ordered),
                    size_bytes=root.size_bytes,
                    first_path=paths[0][:PATH_SHOWN],
                    last_path=paths[-1][:PATH_SHOWN],
                )
            )
        encoded = root.SerializeToString()
        chunks[digest_of(encoded)] = encoded
        return cls(digest.hexdigest(), digest_of(encoded), chunks)


def make_pack(chunks: Sequence[bytes]) -> tuple[bytes, bytes]:
    """A pack of these chunks: its id and its bytes."""
    pack_id = os.urandom(16)
    return pack_id, build_pack(pack_id, [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in chunks])


def bring(grant: Any, data: bytes) -> None:
    """Carries a pack to where a grant says."""
    assert grant.WhichOneof("how") == "filesystem", "this writer is on the registry's machine"
    path = Path(grant.filesystem.path)
    path.write_bytes(data)
