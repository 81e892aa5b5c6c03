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


# --- RDKit, which is in no extra; where it is installed, this is what it makes ------------------------------------------


def test_rdkit_makes_molecules_of_formulas_and_files(tmp_path: Path) -> None:
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    made = holdfast.Molecule.from_smiles("CCO", caption="ethanol")
    assert made.path.endswith(".pdb")
    assert Path(made.path).read_text().count("HETATM") == 9, "with the atoms of hydrogen"
    assert made == holdfast.Molecule.from_smiles("CCO", caption="ethanol")
    molecule = chem.MolFromSmiles("CCO")
    flat = holdfast.Molecule.from_rdkit(molecule, convert_to_3d_and_optimize=False)
    assert Path(flat.path).read_text().count("HETATM") == 3
    (tmp_path / "a.mol").write_text(chem.MolToMolBlock(molecule))
    (tmp_path / "a.sdf").write_text(chem.MolToMolBlock(molecule) + "$$$$\n")
    assert holdfast.Molecule.from_rdkit(tmp_path / "a.mol", "ethanol").sha256 == made.sha256
    assert holdfast.Molecule.from_rdkit(str(tmp_path / "a.sdf"), "ethanol") == made


def test_what_rdkit_cannot_read_is_named(tmp_path: Path) -> None:
    pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    (tmp_path / "a.mol").write_text("no molecule")
    with pytest.raises(ValueError, match="Unable to parse the SMILES string 'no smiles'"):
        holdfast.Molecule.from_smiles("no smiles")
    with pytest.raises(ValueError, match="holds no molecule that RDKit can read"):
        holdfast.Molecule.from_rdkit(tmp_path / "a.mol")
    with pytest.raises(ValueError, match="Path is not a file"):
        holdfast.Molecule.from_rdkit(tmp_path / "absent.mol")
    with pytest.raises(ValueError, match="only supports files of the type"):
        holdfast.Molecule.from_rdkit("a.pdb")
    with pytest.raises(TypeError, match="Data must be file name"):
        holdfast.Molecule.from_rdkit(5)
