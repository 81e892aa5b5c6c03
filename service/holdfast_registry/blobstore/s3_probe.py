"""Tries out, when the registry starts, what an S3 server makes of presigned PUTs; the rest relies on it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import aiohttp

from holdfast_contract.pack import PACK_ID_BYTES
from holdfast_registry.blobstore.s3_signing import UrlSigner
from holdfast_registry.blobstore.s3_transfers import SigningStore, upload_way
from holdfast_registry.blobstore.transfers import HttpWay, OutgoingPack
from holdfast_registry.errors import StartError

STATUS_PRECONDITION_FAILED = 412
STATUS_NOT_IMPLEMENTED = 501
STATUS_REFUSED_MIN = 400


@dataclass(frozen=True, slots=True)
class Findings:
    """What the server does."""

    knows_conditions: bool
    """It takes `If-None-Match: *`."""
    keeps_first: bool
    """It then replaces nothing."""
    checks_bytes: bool
    """It refuses other bytes than those of the signed SHA-256."""


async def probe(store: SigningStore, signer: UrlSigner, http: aiohttp.ClientSession) -> tuple[bytes, Findings]:
    """PUTs a few bytes, wrong ones, and the same again.

    Returns:
        The id under which they lie, and what was found.

    Raises:
        StartError: the server refuses everything.
    """
    body = os.urandom(64)
    pack = OutgoingPack(os.urandom(PACK_ID_BYTES), len(body), hashlib.sha256(body).digest())
    way = upload_way(store, signer, pack)
    wrong = await _put(http, way, body[::-1])
    right, text = await _put_explained(http, way, body)
    if right == STATUS_NOT_IMPLEMENTED:
        return pack.pack_id, Findings(False, False, wrong >= STATUS_REFUSED_MIN)
    if right >= STATUS_REFUSED_MIN and wrong >= STATUS_REFUSED_MIN:
        raise StartError(f"The S3 server refuses presigned uploads with {right}: {text}")
    again = await _put(http, way, body)
    keeps_first = again == STATUS_PRECONDITION_FAILED
    return pack.pack_id, Findings(True, keeps_first, wrong >= STATUS_REFUSED_MIN)


async def _put(http: aiohttp.ClientSession, way: HttpWay, body: bytes) -> int:
    return (await _put_explained(http, way, body))[0]


async def _put_explained(http: aiohttp.ClientSession, way: HttpWay, body: bytes) -> tuple[int, str]:
    async with http.put(way.url, data=body, headers=way.headers, skip_auto_headers=["Content-Type"]) as answer:
        return answer.status, " ".join((await answer.text())[:300].split())
