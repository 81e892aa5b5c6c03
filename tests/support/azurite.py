"""Azurite, Microsoft's emulator of Azure Blob Storage: installed with npm into a cache folder once, then run from there."""

import base64
import contextlib
import hmac
import http.client
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from support.background_server import BackgroundServer, answers, free_ports

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# The emulator's well-known key; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
INSTALL_TIMEOUT_S = 110.0
API_VERSION = "2021-08-06"


class Azurite:
    """One emulator that keeps its blobs in memory.

    Attributes:
        endpoint: URL of the account.
        environ: settings by which a client finds it and may use it.
    """

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        self.environ = {
            "AZURE_STORAGE_CONNECTION_STRING": (
                f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"
            )
        }
        command = [
            "node",
            str(_program()),
            "--blobHost=127.0.0.1",
            f"--blobPort={self.port}",
            "--inMemoryPersistence",
            "--silent",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]
        self._server = BackgroundServer(command, folder / "azurite.log")

    @staticmethod
    def install() -> str | None:
        """Installs it, if that was never done; returns why it cannot be had, or None."""
        if not (shutil.which("node") and shutil.which("npm")):
            return "Azurite needs node and npm"
        if _program().is_file():
            return None
        folder = _folder().with_name(f"azurite-{os.getpid()}")
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"azurite@{VERSION}"]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            done = None
        if done is None or done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            return f"npm cannot install Azurite: {done.stderr[-500:] if done else 'it takes too long'}"
        with contextlib.suppress(OSError):  # another session was faster
            folder.rename(_folder())
        shutil.rmtree(folder, ignore_errors=True)
        return None

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path) -> Iterator["Azurite"]:
        """An emulator that takes requests."""
        server = cls(folder)
        try:
            server._server.start(lambda: answers(server.port))
            yield server
        finally:
            server._server.stop()

    # --- what tests do with it ----------------------------------------------------------------------------------------

    def url(self, container: str, blob: str = "") -> str:
        """URL of a container or blob."""
        return f"{self.endpoint}/{container}/{quote(blob)}" if blob else f"{self.endpoint}/{container}"

    def make_container(self, container: str, *, public: bool = False) -> None:
        """Makes a container; everybody may read a public one."""
        access = {"x-ms-blob-public-access": "container"} if public else {}
        self.request("PUT", container, query={"restype": "container"}, headers=access)

    def put(self, container: str, blob: str, body: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """Stores a blob; returns its ETag."""
        headers = {"x-ms-blob-type": "BlockBlob"} | {f"x-ms-meta-{k}": v for k, v in (metadata or {}).items()}
        return self.request("PUT", container, blob, body=body, headers=headers)["etag"].strip('"')

    def delete(self, container: str, blob: str) -> None:
        """Removes a blob."""
        self.request("DELETE", container, blob)

    def request(
        self,
        method: str,
        container: str,
        blob: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> dict[str, str]:
        """Sends one signed request; returns the answer's headers.

        Raises:
            AssertionError: it was refused.
        """
        path = f"/{ACCOUNT}/{container}" + (f"/{quote(blob)}" if blob else "")
        all_headers = {
            "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": API_VERSION,
            "content-type": "application/octet-stream",
            **(headers or {}),
        }
        all_headers["authorization"] = _authorization(method, path, query or {}, all_headers, len(body))
        query_text = "&".join(f"{name}={value}" for name, value in (query or {}).items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?{query_text}" if query_text else path, body, all_headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status < 300, f"{method} {path}: {response.status} {answer[:500]!r}"
            return {name.lower(): value for name, value in response.getheaders()}

    def signature(self, container: str) -> str:
        """A shared access signature that lets its bearer read and list a container for an hour."""
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = "\n".join(["rl", "", end, f"/blob/{ACCOUNT}/{container}", "", "", "", API_VERSION, "c", *[""] * 7])
        signature = quote(_hmac(text), safe="")
        return f"sv={API_VERSION}&sr=c&sp=rl&se={quote(end, safe='')}&sig={signature}"


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "holdfast-tests" / f"azurite-{VERSION}"


def _program() -> Path:
    return _folder() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def _hmac(text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()


def _authorization(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body_bytes: int
) -> str:
    """Shared Key."""
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    text = f"{method}\n\n\n{body_bytes or ''}\n\n{headers['content-type']}\n\n\n\n\n\n\n{own}/{ACCOUNT}{path}{asked}"
    return f"SharedKey {ACCOUNT}:{_hmac(text)}"
