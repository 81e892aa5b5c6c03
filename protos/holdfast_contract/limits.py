"""Every limit that two processes must agree on, each with the arithmetic that led to it."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# --- messages ---

MESSAGE_BYTES_MAX = 4 * MIB
"""gRPC's own default for receiving; raising it would only let one message hold more memory."""

FIND_MISSING_DIGESTS_MAX = 65_536
"""65,536 digests of 32 bytes are 2 MiB: half a message, and as many as a pack has chunks."""

RECORDS_BATCH_MAX = 1000
"""Records per message of the SDK's stream: 1,000 a message carry 1.1 M entries/s, 1 a message 12,000."""

RECORDS_BATCH_BYTES_MAX = 1 * MIB
"""1,000 records of the longest path (1 KiB) fit; a quarter of a message leaves room for a larger one."""

RECORDS_LINGER_S = 0.02
"""An incomplete batch waits this long: 50 messages a second at most, and no delay that a person notices."""

UNACKED_BYTES_MAX = 8 * MIB
"""Records sent and not yet durable: eight full batches, more than arrive during one fsync (5 to 50 ms)."""

INLINE_BYTES_MAX = 64 * KIB
"""File contents carried inside a record: one chunk; 16 of them fill a batch, and a batch stays a message."""

PAGE_SIZE_MAX = 1000
"""Rows per page: 1,000 rows of about 1 KiB are 1 MiB."""

# --- content ---

DIGEST_BYTES = 32
"""BLAKE3-256."""

CHUNK_BYTES_MIN = 64 * KIB
CHUNK_BYTES_AVG = 256 * KIB
"""1 TiB is 4.2 M chunks of 256 KiB: 41 bytes of index for each are 172 MB."""
CHUNK_BYTES_MAX = 1 * MIB
"""A chunk fits a message three times over; four times the average keeps 98 % of the cuts natural."""

SINGLE_CHUNK_FILE_BYTES_MAX = CHUNK_BYTES_MIN
"""A file that cannot be cut is one chunk, whose digest is then the file's: no chunk list is needed."""

PACK_BYTES_MAX = 64 * MIB
"""The whole pack, header to trailer: one PUT; 0.5 s at 1 Gbit/s is what an interruption costs at most."""

PACK_CHUNKS_MAX = 65_536
"""An index of 65,536 x 41 bytes is 2.6 MiB: read in one call; reached only by files below 1 KiB."""

# --- manifests ---

SEGMENT_ENTRIES_MODULUS = 1024
"""A segment ends after a path whose crc32 is 0 modulo this: 1,024 entries on average, about 100 KiB."""
SEGMENT_ENTRIES_MAX = 4096
"""Four times the average: (1023/1024)^4096 = 1.8 % of the segments are cut by it."""
SEGMENT_BYTES_MAX = 768 * KIB
"""A segment is a chunk (1 MiB at most); a quarter is left for estimates that are too low."""
MANIFEST_ENTRIES_MAX = 5_000_000
"""About 5,000 segments; 2 GiB at 430 bytes an entry."""

PATH_BYTES_MAX = 1024
"""The longest path that macOS (PATH_MAX 1,024) and an S3 key (1,024 bytes) can hold."""
COMPONENT_BYTES_MAX = 255
"""NAME_MAX of ext4, XFS, APFS and NTFS."""
PATH_DEPTH_MAX = 64
"""One open directory descriptor a level while writing: 64 of the usual 1,024 for each of several writers."""

# --- names and metadata ---

NAME_CHARS_MAX = 128
"""W&B's limit; also keeps `name:v<N>` below 255 bytes as a folder name."""
METADATA_KEYS_MAX = 100
"""W&B's limit for keys of the top level."""
METADATA_BYTES_MAX = 1 * MIB
"""Encoded JSON; a quarter of a message."""
METADATA_DEPTH_MAX = 64
"""Far below Python's recursion limit of 1,000; no sane document is deeper than ten."""
ALIASES_MAX = 100
"""Of one version: 100 x 128 characters are 50 KiB of UTF-8 at most."""
TAGS_MAX = 20
"""W&B's limit for one assignment."""

# --- time ---

UNARY_DEADLINE_S = 10
"""Any single answer is a few database statements; ten seconds mean that something is wrong."""
FIND_MISSING_DEADLINE_S = 30
"""65,536 look-ups at 10,000 a second on a slow disk take 7 s; four times that."""
COMMIT_DEADLINE_S = 60
"""5 M entries are checked at about 200,000 a second: 25 s; twice that, rounded."""
STREAM_IDLE_S = 60
"""Three missed keepalive pings of 20 s."""
LEASE_TTL_S = 3600
"""An hour of broken network does not cost a renegotiation."""
PART_LEASE_TTL_S = 600
"""A writer of a distributed version that is gone is noticed after ten minutes; its restart takes seconds."""
LEASE_RENEWALS = 3
"""Renewals in a lease's time: two may be lost."""
RACY_WINDOW_NS = 2_000_000_000
"""Coarsest modification time in use (FAT: 2 s); within it, a later write may leave mtime as it is."""

# --- rounds, versions, addresses ---

COMMIT_ROUNDS_MAX = 10
"""Commit, upload what is missing, commit again: two rounds are usual, a further one needs a sweep."""
PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
"""The range this code speaks."""
SOCKET_PATH_BYTES_MAX = 100
"""sun_path is 104 bytes on macOS and 108 on Linux, with its final NUL."""
