"""The registry's settings."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_contract.limits import LEASE_TTL_S, PART_LEASE_TTL_S, STREAM_IDLE_S

SECTION = "registry"
"""TOML table, and the middle of the environment names."""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """All knobs of the registry.  Environment: HOLDFAST_REGISTRY_<FIELD>."""

    data_dir: str | None = None
    """Folder of database and packs; default: `registry` in Holdfast's data folder."""
    socket: str | None = None
    """Unix socket to serve on; default: the private one of the data folder.  Ignored when `listen` is set."""
    listen: str | None = None
    """HOST:PORT to serve on instead of the socket; every call then needs a token."""
    insecure: bool = False
    """Allow plaintext TCP on an address that is not loopback."""
    tls_cert: str | None = None
    """PEM file of the certificate chain that the port is served with; needed off loopback, unless `insecure`."""
    tls_key: str | None = None
    """PEM file of its key, without a password."""
    tls_client_ca: str | None = None
    """PEM file of an authority: only clients with a certificate of its may connect; they need a token all the same."""
    reflection: bool = False
    """Tell anybody who asks which services there are (gRPC reflection); needs the extra `reflection`."""
    idle_exit_s: float = 0.0
    """Exit after so many seconds without a call; 0 = never."""
    lease_ttl_s: int = LEASE_TTL_S
    """Seconds that an upload's lease lasts without being renewed."""
    part_lease_ttl_s: int = PART_LEASE_TTL_S
    """The same for a writer's part of a distributed version, whose end others wait for."""
    maintenance_interval_s: float = 60.0
    """Seconds between looks for leases that have run out."""
    database_url: str | None = None
    """`postgresql://USER@HOST/NAME` for a database that several registries share; default: SQLite in `data_dir`.  A password belongs
    into a pgpass file or PGPASSWORD, not here."""
    store_dir: str | None = None
    """Folder of packs that several registries on one machine share, apart from `data_dir`, which each has for itself; needs a
    `database_url`."""
    store_url: str | None = None
    """`s3://BUCKET/PREFIX` for packs in an S3 store; default: the folder `packs` in `data_dir`."""
    store_endpoint_url: str | None = None
    """Address of the S3 server, for others than AWS; default: AWS_ENDPOINT_URL, else AWS."""
    store_public_endpoint_url: str | None = None
    """Address at which daemons reach that server, when it is another one than the registry's."""
    store_region: str | None = None
    """Region of the bucket; default: the one of the AWS configuration, else us-east-1."""
    store_path_style: bool | None = None
    """Whether the bucket's name goes into the path of addresses; default: false for AWS, true for others."""
    store_attempts_max: int = 4
    """How often one request to the store is made that gets no answer or a passing refusal; the pauses of 4 take 3.5 s on average."""
    store_encryption: str | None = None
    """Encryption that the store is asked for with every pack: AES256 or aws:kms."""
    store_encryption_key: str | None = None
    """Id of the key for aws:kms; default: the account's."""
    database_connections: int = 10
    """Connections to PostgreSQL of this registry at most, and one more that looks whether it answers."""
    retention_interval_s: float = 600.0
    """Seconds between two rounds in which policies of retention are applied; 0 = never."""
    gc_interval_s: float = 3600.0
    """Seconds between two cycles of garbage collection; 0 = only on demand."""
    gc_grace_s: float = 24 * 3600.0
    """Chunks that were brought since are not condemned: an upload may be about to name them."""
    undelete_window_s: float = 7 * 24 * 3600.0
    """Deleted versions can be restored for so long, and keep their bytes."""
    gc_removal_delay_s: float = 6 * 3600.0
    """A pack that serves no more is kept for so long, for those who still read it."""
    gc_orphan_s: float = 7 * 24 * 3600.0
    """A pack that the database does not know is kept for so long."""
    gc_pause_s: float = 1.0
    """Between two transactions of garbage collection that make commits look again."""
    replicas: int = 1
    """Registries that share one database behind one address: each lets through its share of the calls a second that a quota allows."""
    stream_idle_s: float = float(STREAM_IDLE_S)
    """A client on TCP from whom no whole message comes for so long, or who takes none, is cut off."""
    calls_per_token_max: int = 100
    """Calls under way of one token at once; each holds at most 4 MiB of what it brings in memory.  Further ones wait and repeat."""
    calls_max: int = 1000
    """The same of all tokens together."""
    connections_max: int = 800
    """TCP connections at once; more are closed at once.  Most systems give a process 1,024 open files to begin with."""
    audit_kept_days: float = 0.0
    """Entries of the audit log that are older are removed; 0 keeps them for ever."""
    scrub_interval_s: float = 30 * 24 * 3600.0
    """Seconds between the beginnings of two readings of everything that is stored; 0 = never."""
    scrub_bytes_per_s: int = 8_000_000
    """Bytes that the scrub reads in a second at most, of all replicas together."""
    database_readers: int = 2
    """Connections to SQLite that read, each with a thread of its own."""
    file_threads: int = 4
    """Threads that read and write packs; bounds how many are open at once.  With an S3 store, which they wait for, at least 16."""
    packs_verified_at_once: int = 2
    """Packs checked in parallel; each takes up to 8 MiB of memory (32 MiB with an S3 store) and a core."""
    drain_s: float = 10.0
    """Seconds that running calls get to finish after SIGTERM."""
    connection_age_s: float = 300.0
    """A client's TCP connection is closed, between calls, after so long (more or less by a tenth), so that clients spread over replicas
    again when one has come back."""
    log_level: str = "info"
    """debug (a line for each call), info, warning or error."""
    log_format: str = "text"
    """text, or json: an object for each event."""
    metrics_address: str | None = None
    """HOST:PORT where Prometheus may ask for /metrics, without TLS or a token; default: nowhere.  Needs the extra `metrics`."""
    traces_url: str | None = None
    """Address that traces are sent to by OTLP over HTTP, e.g. http://127.0.0.1:4318/v1/traces; default: none are made.  Needs the extra
    `otel`."""
    catalogue_interval_s: float = 60.0
    """Seconds between looks whether versions have got names that the store does not have yet; 0 = never write them there."""
    migrate_at_start: bool = True
    """Bring an older database to this software's schema when a registry starts; false: only `holdfast registry migrate` does."""
