"""Pieces of a pack: each frame is in one of them, in its order, and none is larger than it must be."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.pack import Codec, PackIndex
from holdfast_daemon.spool.rewrite import pieces


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200), st.integers(1, 5000))
def test_pieces_have_every_frame_once_and_are_as_large_as_was_asked_for(lengths: list[int], piece_bytes: int) -> None:
    index = PackIndex(bytes(16))
    for number, length in enumerate(lengths):
        index.append(number.to_bytes(32, "big"), length, length, Codec.RAW)
    runs = pieces(index, piece_bytes)
    assert [position for run in runs for position in run] == list(range(len(lengths)))
    sizes = [sum(lengths[position] for position in run) for run in runs]
    assert all(size >= piece_bytes for size in sizes[:-1])
    assert all(size < piece_bytes + max(lengths) for size in sizes)
