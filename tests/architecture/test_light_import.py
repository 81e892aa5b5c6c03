"""`import holdfast` is something every training script pays for, so it stays small."""

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio",
    "grpc",
    "google.protobuf",
    "numpy",
    "PIL",
    "pandas",
    "pyarrow",
    "soundfile",
    "av",
    "matplotlib",
    "plotly",
    "bokeh",
    "tempfile",
    "holdfast.media",
    "sqlalchemy",
    "alembic",
    "sqlite3",
    "typer",
    "click",
    "rich",
    "boto3",
    "botocore",
    "aioboto3",
    "aiohttp",
    "obstore",
    "opentelemetry",
    "prometheus_client",
    "holdfast_daemon",
    "holdfast_registry",
)


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after `statement`, beyond those it starts with."""
    code = f"import sys; before = set(sys.modules); {statement}; print('\\n'.join(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def loaded_by_import() -> set[str]:
    return modules_after("import holdfast")


@pytest.mark.parametrize("heavy", HEAVY)
def test_import_holdfast_does_not_load(heavy: str, loaded_by_import: set[str]) -> None:
    assert heavy not in loaded_by_import


def test_import_holdfast_prints_nothing_and_starts_no_thread() -> None:
    code = "import holdfast, threading; assert threading.active_count() == 1, threading.enumerate()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cli_module_answers_help_without_loading_the_servers() -> None:
    loaded = modules_after("import holdfast.cli.main")
    assert not loaded & {"grpc", "asyncio.base_events", "sqlalchemy", "numpy", "holdfast_daemon", "holdfast_registry"}
