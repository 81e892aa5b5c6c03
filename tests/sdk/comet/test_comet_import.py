"""What importing Comet's vocabulary costs, and what is said when a package is missing."""

import subprocess
import sys


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; import holdfast.comet as c;"
        " assert not {'grpc', 'google.protobuf', 'asyncio', 'semantic_version'} & set(sys.modules);"
        " c.Artifact('n'); assert 'semantic_version' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_package_for_versions_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['semantic_version'] = None; import holdfast.comet as c; c.Artifact('n', version='1.0.0')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'holdfast[comet]'" in done.stderr.splitlines()[-1]
