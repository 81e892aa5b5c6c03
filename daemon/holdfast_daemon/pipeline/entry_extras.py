"""What is kept beside entries, as SetExtra records say it: checked when they come, applied when the entries are put together."""

from collections.abc import Iterator, Mapping, Sequence

from holdfast_contract.errors import ContractError
from holdfast_contract.limits import KIB
from holdfast_contract.metadata import decode_metadata, encode_metadata
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfastpb.daemon.v1.log_pb2 import Record, SetExtra

EXTRA_BYTES_MAX = 64 * KIB
"""Of one entry, as the registry's: a segment of the manifest holds whole entries."""

Span = tuple[int, int, int]
"""Number of a record, and first position and end of the entries that it has made."""
Said = tuple[int, int, bytes]
"""Number of a record, which entries were there by then (all before this position), and the keys for them."""


def check_set_extra(record: SetExtra) -> None:
    """Refuses a record that cannot be applied.

    Raises:
        HoldfastError: INVALID_PATH, INVALID_METADATA.
    """
    try:
        check_path(record.path)
        decode_metadata(record.extra_json)
    except ContractError as error:
        raise HoldfastError(error.reason, str(error), path=ascii(record.path)) from error
    _check_size(record.extra_json, record.path)


def apply_extras(columns: EntryColumns, spans: Sequence[Span], records: Mapping[int, Record]) -> None:
    """Lays the keys of all SetExtra records over the extras of the entries that were there by then.

    Args:
        columns: all entries of the draft, in the order of their records.
        spans: of the records that have made them, in order.
        records: all of them, by their numbers.

    Raises:
        HoldfastError: INVALID_METADATA: what an entry would have then is too large.
    """
    said = _said_by_path(spans, records)
    if not said:
        return
    for position, path in enumerate(columns.paths):
        found = sorted(one for name in _with_folders(path) for one in said.get(name, ()) if position < one[1])
        if found:
            columns.extras[position] = _laid_over(columns.extras.get(position, b""), found, path)


def _said_by_path(spans: Sequence[Span], records: Mapping[int, Record]) -> dict[str, list[Said]]:
    said: dict[str, list[Said]] = {}
    place, there = 0, 0
    for seq in sorted(records):
        if records[seq].WhichOneof("what") != "set_extra":
            continue
        while place < len(spans) and spans[place][0] < seq:
            there = spans[place][2]
            place += 1
        record = records[seq].set_extra
        said.setdefault(record.path, []).append((seq, there, record.extra_json))
    return said


def _with_folders(path: str) -> Iterator[str]:
    yield path
    slash = path.rfind("/")
    while slash > 0:
        yield path[:slash]
        slash = path.rfind("/", 0, slash)


def _laid_over(extra: bytes, said: Sequence[Said], path: str) -> bytes:
    if not extra and len(said) == 1:
        return said[0][2]  # thousands of entries of one folder: nothing is to be decoded
    keys = decode_metadata(extra)
    for _, _, more in said:
        keys |= decode_metadata(more)
    encoded = encode_metadata(keys)
    _check_size(encoded, path)
    return encoded


def _check_size(encoded: bytes, path: str) -> None:
    if len(encoded) > EXTRA_BYTES_MAX:
        text = f"what is to be kept beside {path!r} has {len(encoded)} bytes of JSON; at most {EXTRA_BYTES_MAX} are allowed"
        raise HoldfastError(Reason.INVALID_METADATA, text, path=path)
