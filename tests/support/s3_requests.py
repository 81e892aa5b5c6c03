"""Signed S3 requests that tests send by themselves, so that they need no other client, and who may send them."""

import contextlib
import hashlib
import hmac
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

ACCESS_KEY_ID = "HOLDFASTTESTKEY"
SECRET_ACCESS_KEY = "holdfast-test-secret-key"
REGION = "us-east-1"
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


class S3Requests:
    """What tests do with an S3 server.

    Attributes:
        port: of 127.0.0.1, where requests go.
        endpoint: URL for clients; buckets are addressed by path.
        environ: settings by which an S3 client finds the server and may use it.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environ = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
        }

    def make_bucket(self, bucket: str, *, versioned: bool = False) -> None:
        """Makes a bucket, unless it is there; it keeps old versions of its objects if wished."""
        answer = self.send("PUT", bucket, "", {}, b"", {})
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
        answer = self.send(method, bucket, key, query or {}, body, headers or {})
        assert answer.status < 300, f"{method} {bucket}/{key}: {answer.status} {answer.body[:500]!r}"
        return answer

    def send(
        self, method: str, bucket: str, key: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Sends one signed request; returns whatever is answered."""
        path = "/" + quote(f"{bucket}/{key}" if key else bucket, safe="/-_.~")
        query_text = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        signed = _signed_headers(method, f"127.0.0.1:{self.port}", path, query_text, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?{query_text}" if query_text else path, body, {**headers, **signed})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def takes_objects(self) -> bool:
        """Whether an object can be stored now."""
        try:
            probe = "holdfast-ready"
            return (
                self.send("PUT", probe, "", {}, b"", {}).status in (200, 409)
                and self.send("PUT", probe, "x", {}, b"x", {}).status == 200
            )
        except OSError:
            return False


def write_identities(path: Path) -> Path:
    """Writes who may use a server: the holder of the key above everything, anybody what is public."""
    path.write_text(json.dumps(_identities()))
    return path


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
