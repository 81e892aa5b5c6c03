"""The committed Python code of the protos is what the pinned compiler makes of them."""

import subprocess
import sys

from architecture.source_tree import PROJECT_ROOT


def test_generated_code_is_what_the_protos_say() -> None:
    command = [sys.executable, str(PROJECT_ROOT / "protos" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
