"""Generates the Python code of the protos beside them; --check compares it with what is committed.

Run from anywhere: `python protos/generate.py [--check]`.  The pinned grpcio-tools of the `dev` extra is the only compiler,
so that the committed code does not depend on whoever ran this last.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

PROTOS_ROOT = Path(__file__).resolve().parent
PACKAGE = "holdfastpb"
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def generate(output_root: Path) -> None:
    """Compiles every proto below the package into `output_root`.

    Raises:
        SystemExit: protoc refused a file; it has said why on stderr.
    """
    from grpc_tools import protoc

    sources = sorted(str(p.relative_to(PROTOS_ROOT)) for p in (PROTOS_ROOT / PACKAGE).rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={PROTOS_ROOT}",
        f"--python_out={output_root}",
        f"--pyi_out={output_root}",
        f"--grpc_python_out={output_root}",
        *sources,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    for stub in output_root.rglob("*_pb2_grpc.py"):
        if not _has_service(stub):
            stub.unlink()


def _has_service(stub: Path) -> bool:
    return "Servicer" in stub.read_text()


def generated_files(root: Path) -> set[Path]:
    """Paths of generated files below `root`, relative to it."""
    return {p.relative_to(root) for p in (root / PACKAGE).rglob("*") if p.name.endswith(GENERATED_SUFFIXES)}


def check() -> int:
    """Prints each generated file that is not what the protos say; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        fresh_root = Path(folder)
        generate(fresh_root)
        fresh, committed = generated_files(fresh_root), generated_files(PROTOS_ROOT)
        stale = sorted(fresh ^ committed) + sorted(
            p for p in fresh & committed if not filecmp.cmp(fresh_root / p, PROTOS_ROOT / p, shallow=False)
        )
    for path in stale:
        print(f"protos/{path} is not what the protos say; run: python protos/generate.py", file=sys.stderr)
    return 1 if stale else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    if parser.parse_args().check:
        return check()
    for old in generated_files(PROTOS_ROOT):
        (PROTOS_ROOT / old).unlink()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        for path in generated_files(Path(folder)):
            shutil.copyfile(Path(folder) / path, PROTOS_ROOT / path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
