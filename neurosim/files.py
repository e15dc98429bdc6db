"""Where chip, scenario and study files are found by name.

The shipped files live in the top-level folders ``chips/`` and ``scenarios/`` of the repository (sweeps that ship, the
studies, in ``scenarios/studies/``), where users read and copy them. A wheel carries them inside the package, as
``neurosim/chips`` and ``neurosim/scenarios``; a checkout and an editable install read them from the repository itself.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from neurosim.errors import InputError

Kind = Literal["chip", "scenario", "study"]

_PACKAGE = Path(__file__).resolve().parent
_FOLDER: dict[Kind, str] = {"chip": "chips", "scenario": "scenarios", "study": "scenarios/studies"}
_SEARCH_PATH: dict[Kind, str] = {
    "chip": "NEUROSIM_CHIP_PATH", "scenario": "NEUROSIM_SCENARIO_PATH", "study": "NEUROSIM_STUDY_PATH",
}  # fmt: skip


def find(kind: Kind, name: str, *others: Kind) -> Path:
    """The file that a user means by ``name``: a path, or the bare name of a known file of this kind, or of the others.

    A name with a separator or the ending ``.toml``, and the name of an existing file, is a path and taken as it stands.
    Any other name is looked up in `available`; it is compared with the names there and never joined to a folder, so it
    cannot lead out of one.
    """
    path, kinds = Path(os.path.expanduser(name)), (kind, *others)
    # os.path rather than pathlib, which raises on an unknown ~user and on a name too long for the file system.
    if os.path.isfile(path):
        return path
    if _is_written_as_path(name):
        raise InputError(f'no {kind} file "{name}"' + _hint(kinds, path.stem))
    for each in kinds:
        known = available(each)
        if name in known:
            return known[name]
    raise InputError(f'no {" or ".join(kinds)} "{name}"' + _hint(kinds, name))


def available(kind: Kind) -> dict[str, Path]:
    """Every file that a bare name finds, by name.

    Where folders hold the same name, the first wins: those of the environment variable ``NEUROSIM_CHIP_PATH``,
    ``NEUROSIM_SCENARIO_PATH`` or ``NEUROSIM_STUDY_PATH``, then ``./chips``, ``./scenarios`` or ``./scenarios/studies``,
    then the shipped ones.
    """
    known: dict[str, Path] = {}
    for folder in _folders(kind):
        known = _files_in(folder) | known
    return dict(sorted(known.items()))


def shipped(kind: Kind) -> dict[str, Path]:
    """The files that come with neurosim, by name."""
    return _files_in(_shipped_folder(kind))


def _is_written_as_path(name: str) -> bool:
    return "/" in name or os.sep in name or name.endswith(".toml")


def _folders(kind: Kind) -> list[Path]:
    from_environment = os.environ.get(_SEARCH_PATH[kind], "").split(os.pathsep)
    folders = [Path(os.path.expanduser(folder)) for folder in from_environment if folder]
    return [*folders, Path.cwd() / _FOLDER[kind], _shipped_folder(kind)]


def _shipped_folder(kind: Kind) -> Path:
    inside = _PACKAGE / _FOLDER[kind]
    # Not importlib.resources.files("neurosim.chips"): setuptools' default editable install cannot import a package
    # that package_dir maps to a folder outside its parent.
    return inside if inside.is_dir() else _PACKAGE.parent / _FOLDER[kind]


def _files_in(folder: Path) -> dict[str, Path]:
    found = {path.stem: path for path in folder.glob("*.toml") if path.is_file()}
    return dict(sorted(found.items()))


def _hint(kinds: Sequence[Kind], name: str) -> str:
    known = [each for kind in kinds for each in available(kind)]
    near = difflib.get_close_matches(name, known, n=1)
    suggestion = f'; did you mean "{near[0]}"?' if near else ";"
    names = ", ".join(known) or "none"
    folders = ", ".join(str(folder) for kind in kinds for folder in _folders(kind))
    paths = " or ".join(_SEARCH_PATH[kind] for kind in kinds)
    return f"{suggestion} known: {names} (searched {folders}; more folders with {paths})"
