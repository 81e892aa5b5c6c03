"""Molecule: where the atoms of a molecule are, of a file or by RDKit."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, ClassVar, Self

from holdfast.errors import InvalidInputError, MissingPackageError
from holdfast.media.given_files import given_path, known_extension, read_given
from holdfast.media.media_file import Media

OPTIMISING_STEPS = 200
"""Of RDKit's force field at most."""


class Molecule(Media):
    """A molecule.

    artifact["protein"] = holdfast.Molecule("6lu7.pdb", caption="a protease")
    artifact["caffeine"] = holdfast.Molecule.from_smiles("CN1C=NC2=C1C(=O)N(C(=O)N2C)C")
    """

    SUPPORTED_TYPES: ClassVar[tuple[str, ...]] = (
        "pdb",
        "pqr",
        "mmcif",
        "mcif",
        "cif",
        "sdf",
        "sd",
        "gro",
        "mol2",
        "mmtf",
    )
    SUPPORTED_RDKIT_TYPES: ClassVar[tuple[str, ...]] = ("mol", "sdf")
    log_type: ClassVar[str] = "molecule-file"
    media_subdir: ClassVar[str] = "media/molecule"

    def __init__(self, data_or_path: Any, caption: str | None = None, file_type: str | None = None) -> None:
        """Takes a file.

        Args:
            data_or_path: the path of a file of one of `SUPPORTED_TYPES`, or an opened file.
            caption: shown beside it.
            file_type: one of `SUPPORTED_TYPES`, for an opened file.

        Raises:
            ValueError: no such file, or another type.
        """
        super().__init__(caption)
        path = given_path(data_or_path)
        if path is not None:
            if known_extension(path, self.SUPPORTED_TYPES) is None:
                supported = ", ".join(self.SUPPORTED_TYPES)
                raise ValueError(
                    f"Molecule only supports files of the type: {supported}; {path!r} ends in none of them"
                )
            self._take_path(path)
        elif hasattr(data_or_path, "read"):
            if file_type is None:
                raise ValueError("Must pass file_type keyword argument when using io objects.")
            if file_type not in self.SUPPORTED_TYPES:
                raise ValueError(f"file_type is {file_type!r}; Molecule takes {', '.join(self.SUPPORTED_TYPES)}")
            self._take_bytes(read_given(data_or_path), f".{file_type}")
        else:
            raise ValueError(f"Data must be file name or a file object, not {type(data_or_path).__name__}")

    @classmethod
    def from_rdkit(
        cls,
        data_or_path: Any,
        caption: str | None = None,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = OPTIMISING_STEPS,
    ) -> Self:
        """Takes a molecule of RDKit; it is stored as PDB.

        Args:
            data_or_path: a `Mol`, or the path of a `.mol` or `.sdf` file, of which the first molecule is taken.
            caption: shown beside it.
            convert_to_3d_and_optimize: place the atoms in space, which takes long for large molecules.
            mmff_optimize_molecule_max_iterations: steps of that at most.

        Raises:
            TypeError: neither of the two.
            ValueError: another file, or one that RDKit cannot read.
            MissingPackageError: RDKit is not installed.
        """
        chem = _load_rdkit("rdkit.Chem")
        if isinstance(data_or_path, str | os.PathLike):
            molecule = cls._read(chem, os.fspath(data_or_path))
        elif isinstance(data_or_path, chem.rdchem.Mol):
            molecule = data_or_path
        else:
            raise TypeError(
                f"Data must be file name or an rdkit.Chem.rdchem.Mol object, not {type(data_or_path).__name__}"
            )
        if convert_to_3d_and_optimize:
            all_chem = _load_rdkit("rdkit.Chem.AllChem")
            molecule = chem.AddHs(molecule)
            if all_chem.EmbedMolecule(molecule, randomSeed=0) != 0:
                raise InvalidInputError(
                    "RDKit finds no places in space for these atoms; pass convert_to_3d_and_optimize=False."
                )
            all_chem.MMFFOptimizeMolecule(molecule, maxIters=mmff_optimize_molecule_max_iterations)
        made = cls.__new__(cls)
        Media.__init__(made, caption)
        made._take_bytes(chem.rdmolfiles.MolToPDBBlock(molecule).encode(), ".pdb")
        return made

    @classmethod
    def _read(cls, chem: Any, path: str) -> Any:
        extension = known_extension(path, cls.SUPPORTED_RDKIT_TYPES)
        if extension is None:
            supported = ", ".join(cls.SUPPORTED_RDKIT_TYPES)
            raise ValueError(
                f"Molecule.from_rdkit only supports files of the type: {supported}; {path!r} ends in neither"
            )
        if not os.path.isfile(path):
            raise ValueError(f"Path is not a file: {path!r}")
        if extension == "mol":
            molecule = chem.MolFromMolFile(path)
        else:
            with chem.SDMolSupplier(path) as molecules:
                molecule = next(iter(molecules), None)
        if molecule is None:
            raise InvalidInputError(f"{path} holds no molecule that RDKit can read.")
        return molecule

    @classmethod
    def from_smiles(
        cls,
        data: str,
        caption: str | None = None,
        sanitize: bool = True,
        convert_to_3d_and_optimize: bool = True,
        mmff_optimize_molecule_max_iterations: int = OPTIMISING_STEPS,
    ) -> Self:
        """Takes a molecule's formula in SMILES.

        Args:
            data: such as "CCO".
            caption: shown beside it.
            sanitize: let RDKit check that chemistry allows it.
            convert_to_3d_and_optimize: place the atoms in space, which takes long for large molecules.
            mmff_optimize_molecule_max_iterations: steps of that at most.

        Raises:
            ValueError: it is no SMILES, or chemistry does not allow it.
            MissingPackageError: RDKit is not installed.
        """
        molecule = _load_rdkit("rdkit.Chem").MolFromSmiles(data, sanitize=sanitize)
        if molecule is None:
            raise InvalidInputError(f"Unable to parse the SMILES string {data!r}.")
        return cls.from_rdkit(molecule, caption, convert_to_3d_and_optimize, mmff_optimize_molecule_max_iterations)


def _load_rdkit(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        # Not in the extra: ten times as large as all else there, and few need it.
        raise MissingPackageError("Molecules of RDKit need rdkit: pip install rdkit") from error
