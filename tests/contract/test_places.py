"""Where the processes of one machine meet."""

from pathlib import Path

import pytest

from holdfast_contract.places import find_places, socket_address


def test_a_socket_address_quotes_what_a_uri_would_read() -> None:
    assert socket_address(Path("/run/50%/a b/ä.sock")) == "unix:/run/50%25/a%20b/%C3%A4.sock"


def test_two_data_folders_have_two_sockets() -> None:
    one, other = (find_places({"HOLDFAST_DATA_DIR": f"/d/{n}", "XDG_RUNTIME_DIR": "/r"}) for n in (1, 2))
    assert one.daemon_socket != other.daemon_socket
    assert one.daemon_socket.parent == other.daemon_socket.parent == Path("/r/holdfast")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOLDFAST_DATA_DIR": "/d", "XDG_DATA_HOME": "/x"}, "/d"),
        ({"XDG_DATA_HOME": "/x"}, "/x/holdfast"),
    ],
)
def test_the_data_folder_follows_the_environment(environ: dict[str, str], expected: str) -> None:
    assert find_places(environ).data_dir == Path(expected)
