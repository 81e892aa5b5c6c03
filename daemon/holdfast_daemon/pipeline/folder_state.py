"""What is known of a folder's files, between its stored columns and the loop that compares."""

from collections.abc import Sequence
from itertools import chain

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.pipeline.columns import Chunks, chunk_lists
from holdfast_daemon.pipeline.read_file import Stat5
from holdfastpb.daemon.v1.file_state_pb2 import FolderState


class KnownFiles:
    """Decoded FolderStates of one folder; empty when there is none."""

    def __init__(self, encoded: bytes | None, large: Sequence[bytes] = ()) -> None:
        """Takes the folder's state and those of its large files, which are kept singly and know better."""
        state = FolderState.FromString(encoded) if encoded else FolderState()
        self.names = list(state.names)
        self.sizes = list(state.sizes)
        self.digests: bytes | bytearray = state.digests
        self.chunks: dict[int, Chunks] = dict(chunk_lists(state.chunked_entries, state.chunk_counts, state))
        self._stats: list[Stat5] = list(
            zip(state.devices, state.inodes, self.sizes, state.mtimes_ns, state.ctimes_ns, strict=True)
        )
        self.small_count = len(self.names)
        self._places: dict[str, int] | None = None
        if large:
            self._add_large([KnownFiles(one) for one in large])

    def _add_large(self, large: list["KnownFiles"]) -> None:
        """Sorts single files in; one that the folder's state has, too, was small once."""
        singles = {one.names[0].removeprefix("/"): one for one in large if len(one)}
        merged = StateColumns()
        for name in sorted(singles.keys() | set(self.names)):
            source, index = (singles[name], 0) if name in singles else (self, self.find(name))
            assert index is not None, "names come from the two"
            merged.add(name, source.stat_at(index), source.digest_at(index), source.chunks.get(index))
        self.small_count -= len(singles.keys() & set(self.names))
        self.names, self._stats, self.digests, self.chunks = merged.columns()
        self.sizes = [found[2] for found in self._stats]
        self._places = None

    def __len__(self) -> int:
        """Number of files known."""
        return len(self.names)

    def stats(self) -> list[Stat5]:
        """State of each file, in the order of the names."""
        return self._stats

    def find(self, name: str) -> int | None:
        """Position of a file, if it is known."""
        if self._places is None:
            self._places = {n: i for i, n in enumerate(self.names)}
        return self._places.get(name)

    def stat_at(self, index: int) -> Stat5:
        """State of one file when it was read."""
        return self._stats[index]

    def digest_at(self, index: int) -> bytes:
        """Digest of one file."""
        return bytes(self.digests[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)])

    def needs(self, index: int, digests: frozenset[bytes]) -> bool:
        """Whether one of these chunks is part of the file."""
        if not digests:
            return False
        chunks = self.chunks.get(index)
        if chunks is None:
            return self.digest_at(index) in digests
        return any(chunks[0][i : i + DIGEST_BYTES] in digests for i in range(0, len(chunks[0]), DIGEST_BYTES))


class StateColumns:
    """Collects what is known now; `encode` gives the FolderState."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._stats: list[Stat5] = []
        self._digests = bytearray()
        self._chunks: dict[int, Chunks] = {}

    def __len__(self) -> int:
        """Number of files."""
        return len(self._names)

    def add(self, name: str, state: Stat5, digest: bytes, chunks: Chunks | None) -> None:
        """Adds one file; names come sorted."""
        if chunks is not None:
            self._chunks[len(self._names)] = chunks
        self._names.append(name)
        self._stats.append(state)
        self._digests += digest

    def columns(self) -> tuple[list[str], list[Stat5], bytearray, dict[int, Chunks]]:
        """Names, states, digests and chunk lists."""
        return self._names, self._stats, self._digests, self._chunks

    def encode(self) -> bytes:
        """The columns as a FolderState."""
        devices, inodes, sizes, mtimes, ctimes = zip(*self._stats, strict=True) if self._stats else ((),) * 5
        state = FolderState(
            names=self._names,
            devices=devices,
            inodes=inodes,
            sizes=sizes,
            mtimes_ns=mtimes,
            ctimes_ns=ctimes,
            digests=bytes(self._digests),
            chunked_entries=list(self._chunks),
            chunk_counts=[len(lengths) for _, lengths in self._chunks.values()],
            chunk_digests=b"".join(digests for digests, _ in self._chunks.values()),
            chunk_lengths=chain.from_iterable(lengths for _, lengths in self._chunks.values()),
        )
        return state.SerializeToString()
