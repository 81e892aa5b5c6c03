"""Writing: all bytes arrive in their order, however many and however long the pieces are."""

import os
from pathlib import Path

import pytest

from holdfast_contract import os_layer
from holdfast_contract.os_layer import WRITE_BYTES_MAX
from support.trees import random_bytes

LONG = 2 * WRITE_BYTES_MAX + 3


@pytest.mark.parametrize(
    "lengths",
    [[], [0], [1] * 2_500, [LONG], [1, LONG, 1], [WRITE_BYTES_MAX // 2] * 5, [WRITE_BYTES_MAX, 1, WRITE_BYTES_MAX]],
    ids=["nothing", "empty", "many", "long", "long-between-short", "halves", "full"],
)
def test_buffers_are_written_one_after_another(lengths: list[int], tmp_path: Path) -> None:
    buffers = [random_bytes(length, seed=number) for number, length in enumerate(lengths)]
    descriptor = os_layer.create_new(tmp_path / "file")
    try:
        os_layer.writev_all(descriptor, buffers)
    finally:
        os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"".join(buffers)


def test_long_data_is_written_whole_where_it_belongs(tmp_path: Path) -> None:
    data = random_bytes(LONG)
    descriptor = os_layer.create_new(tmp_path / "file")
    try:
        os_layer.write_all(descriptor, data)
        os_layer.pwrite_all(descriptor, data, LONG - 1)
    finally:
        os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == data[:-1] + data
