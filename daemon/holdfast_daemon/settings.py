"""Settings of the daemon; `holdfast config` prints them with their meanings."""

from dataclasses import dataclass

from holdfast_contract.limits import GIB


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """All knobs of the daemon.  Environment: HOLDFAST_DAEMON_<FIELD>; file: [daemon]."""

    registry: str = ""
    """Address of the registry, host:port or unix:/path; empty: an embedded one in the data folder."""
    registry_token_file: str = ""
    """File that holds the registry's token; empty: the one that `holdfast login` keeps in the data folder, if there is one."""
    registry_insecure: bool = False
    """Speak plaintext with a registry off this machine, whoever listens in; on it plaintext is used unless certificates are named."""
    registry_ca_file: str = ""
    """PEM file of the authority that signed the registry's certificate; empty: the system's authorities."""
    registry_client_cert_file: str = ""
    """PEM file of this daemon's certificate, for a registry that asks for one."""
    registry_client_key_file: str = ""
    """PEM file of its key, without a password."""
    worker_processes: int = 0
    """Processes that read and hash small files; 0: one for each processor."""
    spool_bytes_max: int = 8 * GIB
    """Bytes of packs waiting to be sent; ingest pauses when it is full."""
    cache_bytes_max: int = 10 * GIB
    """Bytes of packs kept for reading (only used with a registry on another machine)."""
    uploads_max: int = 4
    """Packs sent at the same time; each costs up to 64 MiB of disk reads, no memory to speak of."""
    up: str = ""
    """Bytes a second that all uploads take together, for example 20MB/s; empty: no limit.  See `holdfast daemon limit`."""
    down: str = ""
    """Bytes a second that all downloads take together."""
    retry_delay_max_s: float = 30.0
    """Longest pause in seconds between two tries to reach the registry."""
    idle_exit_s: float = 900.0
    """Exit after this many seconds without a client and without work; 0: never."""
    draft_ttl_s: float = 900.0
    """Seconds after which a draft without a connected caller is dropped: its process has ended without logging it."""
    finished_job_ttl_s: float = 604_800.0
    """Seconds for which finished jobs stay listed."""
    shutdown_s: float = 10.0
    """Seconds that a drain may take before the process ends anyway (which loses nothing)."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "text"
    """text, or json: an object for each event."""
    metrics_address: str = ""
    """HOST:PORT where Prometheus may ask for /metrics, without a token; empty: nowhere.  Needs the extra `metrics`."""
    traces_url: str = ""
    """Address that traces are sent to by OTLP over HTTP, e.g. http://127.0.0.1:4318/v1/traces; empty: none are made, and those of
    programs are passed on.  Needs the extra `otel`."""
