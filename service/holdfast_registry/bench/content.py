"""Versions of small files, made as a daemon makes them: chunks, a manifest of one segment, a pack."""

from __future__ import annotations

import random
from dataclasses import dataclass

from holdfast_contract.digest import ArtifactDigest, digest_of
from holdfast_contract.pack import Codec, build_pack
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, ManifestSegment, SegmentRef

PATH_CHARS_KEPT = 48
"""Of first and last path in the root."""


@dataclass(frozen=True, slots=True)
class Content:
    """A version that nothing is stored of."""

    artifact_digest: str
    root_digest: bytes
    chunks: tuple[bytes, ...]

    @property
    def digests(self) -> bytes:
        """Of the chunks, one after another."""
        return b"".join(map(digest_of, self.chunks))

    def pack(self, pack_id: bytes) -> bytes:
        """Returns all chunks as a pack."""
        return build_pack(pack_id, [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in self.chunks])


def new_content(chance: random.Random, files: int, file_bytes: int) -> Content:
    """Makes a version of files that no other has.

    Args:
        chance: where their bytes come from.
        files: how many, at least one and at most 4,096.
        file_bytes: of each, from 16 bytes to 64 KiB.
    """
    data = [chance.randbytes(file_bytes) for _ in range(files)]
    paths = [f"file-{number:04}" for number in range(files)]
    digests = [digest_of(one) for one in data]
    segment = ManifestSegment(paths=paths, digests=b"".join(digests), sizes=[file_bytes] * files).SerializeToString()
    entry = SegmentRef(
        digest=digest_of(segment),
        length=len(segment),
        entry_count=files,
        size_bytes=files * file_bytes,
        first_path=paths[0][:PATH_CHARS_KEPT],
        last_path=paths[-1][:PATH_CHARS_KEPT],
    )
    root = ManifestRoot(segments=[entry], entry_count=files, size_bytes=files * file_bytes).SerializeToString()
    artifact = ArtifactDigest()
    artifact.update(paths, [digest.hex() for digest in digests])
    return Content(artifact.hexdigest(), digest_of(root), (*data, segment, root))
