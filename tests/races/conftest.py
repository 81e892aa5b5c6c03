"""One host for each module: a daemon with its embedded registry, started by the SDK as it is for a user."""

from collections.abc import Iterator

import pytest

from support.sdk_host import SdkHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    with SdkHost(tmp_path_factory.mktemp("host")).entered() as host:
        yield host
