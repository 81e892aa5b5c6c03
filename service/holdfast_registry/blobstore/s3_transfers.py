"""Packs between daemons and an S3 server, by presigned addresses: the registry carries no bytes, the daemon holds no keys."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Protocol

from holdfast_registry.blobstore.s3_signing import UrlSigner
from holdfast_registry.blobstore.transfers import HttpWay, OutgoingPack, Way
from holdfast_registry.file_threads import FileThreads

URL_TTL_S = 900
"""Long enough for 64 MiB at 1 Mbit/s, short enough that an address in a stranger's log is soon worth nothing."""
LATE_WRITES_S = URL_TTL_S + 600.0
"""A PUT that begins just before its address expires may take some minutes more."""


class SigningStore(Protocol):
    """A store whose objects have addresses."""

    @property
    def put_headers(self) -> dict[str, str]:
        """What every PUT must carry besides what it says of its pack."""

    def key(self, pack_id: bytes) -> str:
        """Returns where a pack lies."""

    def signer(self) -> UrlSigner:
        """Returns what signs addresses now.  Blocks."""


class PresignedTransfers:
    """Addresses for one PUT of exactly the announced bytes, and for GETs."""

    needs_sha256 = True

    def __init__(self, store: SigningStore, threads: FileThreads) -> None:
        self._store = store
        self._threads = threads

    async def check_space(self, needed_bytes: int) -> None:
        """Returns at once: the store says when it is full."""

    async def uploads(self, packs: Sequence[OutgoingPack]) -> Sequence[Way]:
        """Returns an address for each pack."""
        return await self._threads.run(self._uploads, packs)

    def _uploads(self, packs: Sequence[OutgoingPack]) -> list[Way]:
        signer = self._store.signer()
        return [upload_way(self._store, signer, pack) for pack in packs]

    async def downloads(self, pack_ids: Sequence[bytes]) -> Sequence[Way]:
        """Returns an address for each pack."""
        return await self._threads.run(self._downloads, pack_ids) if pack_ids else []

    def _downloads(self, pack_ids: Sequence[bytes]) -> list[Way]:
        signer = self._store.signer()
        urls = [signer.sign("GET", self._store.key(pack_id), {}, URL_TTL_S) for pack_id in pack_ids]
        return [HttpWay(url, {}, URL_TTL_S) for url in urls]


def upload_way(store: SigningStore, signer: UrlSigner, pack: OutgoingPack, *, expires_in_s: int = URL_TTL_S) -> HttpWay:
    """Returns how to PUT one pack: its key, size and SHA-256 are in the signature."""
    assert pack.sha256, "asked for before"
    headers = {
        **store.put_headers,
        "content-length": str(pack.size_bytes),
        "x-amz-checksum-sha256": base64.b64encode(pack.sha256).decode(),
    }
    return HttpWay(signer.sign("PUT", store.key(pack.pack_id), headers, expires_in_s), headers, expires_in_s)
