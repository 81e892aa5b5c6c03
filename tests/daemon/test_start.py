"""A daemon that cannot start says why in a line, ends, and gives its lock back."""

from pathlib import Path

import pytest

from support.processes import DidNotStartError, Host, running_host


def refused(host: Host) -> tuple[int, str]:
    """Exit code and last line of a daemon that is expected not to start."""
    with pytest.raises(DidNotStartError):
        host.start()
    return host.daemon.wait(), host.daemon.log_tail().strip().splitlines()[-1]


def test_a_damaged_journal_is_named_with_the_way_out(tmp_path: Path) -> None:
    with running_host(tmp_path) as host:
        host.places.data_dir.mkdir(mode=0o700)
        host.places.journal.write_bytes(b"this is no database" * 100)
        code, line = refused(host)
        assert code == 1
        assert str(host.places.journal) in line
        assert "move it away" in line
        host.places.journal.unlink()
        host.start()


def test_a_file_in_place_of_the_data_folder_is_named(tmp_path: Path) -> None:
    with running_host(tmp_path) as host:
        host.places.data_dir.write_text("a file")
        code, line = refused(host)
        assert code != 0
        assert str(host.places.data_dir) in line
