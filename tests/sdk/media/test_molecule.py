"""`Molecule`: files of the known types, opened files, and what RDKit makes."""

import io
from pathlib import Path
from typing import Any

import pytest

import holdfast

PDB = "ATOM      1  N   GLY A   1       0.000   0.000   0.000  1.00  0.00           N\nEND\n"
TYPES = ("pdb", "pqr", "mmcif", "mcif", "cif", "sdf", "sd", "gro", "mol2", "mmtf")


@pytest.mark.parametrize("extension", TYPES)
def test_files_of_each_type_are_taken_as_they_are(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_text(PDB)
    by_path = holdfast.Molecule(path, caption="glycine")
    assert (by_path.caption, Path(by_path.path).read_text()) == ("glycine", PDB)
    with path.open() as file:
        assert holdfast.Molecule(file, "glycine") == by_path
    for file in (io.StringIO(PDB), io.BytesIO(PDB.encode())):
        read = holdfast.Molecule(file, caption="glycine", file_type=extension)
        assert read == by_path
        assert read.path.endswith(f".{extension}")


@pytest.mark.parametrize(
    ("given", "how", "message"),
    [
        (io.StringIO(PDB), {}, "Must pass file_type"),
        (io.StringIO(PDB), {"file_type": "xyz"}, "file_type is 'xyz'"),
        ("a.xyz", {}, "only supports files of the type"),
        ("absent.pdb", {}, "Path is not a file"),
        (5, {}, "Data must be file name or a file object"),
    ],
)
def test_other_things_are_refused(given: Any, how: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        holdfast.Molecule(given, **how)
