"""One host for each module: a daemon with its embedded registry, started by the SDK as it is for a user."""

from collections.abc import Iterator

import pytest

from support.sdk_host import SdkHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    folder = tmp_path_factory.mktemp("host")
    # Downloads without a folder of their own stay out of the one that the tests are started in.
    with SdkHost(folder, {"HOLDFAST_ARTIFACT_DIR": str(folder / "artifacts")}).entered() as host:
        yield host
