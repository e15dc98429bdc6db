"""The shipped files and everything else reach the user, however neurosim was installed; files are found by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from neurosim import files
from neurosim.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bench", "chips", "docs", "neurosim", "scenarios", "tests")
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.h5", "*.h5.part", ".*")

LIST_SHIPPED = """
import json
from neurosim import files
shipped = {kind: {name: str(path) for name, path in files.shipped(kind).items()} for kind in ("chip", "scenario")}
print(json.dumps({"module": files.__file__, "shipped": shipped, "found": str(files.find("chip", "zz-test"))}))
"""


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The standard output of a command, which must succeed; PYTHONPATH is what the test says and nothing else."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip_install(python: str | Path, *arguments: str | Path, cwd: Path, **environment: str) -> None:
    # No network, and no build environment of its own: setuptools is the one installed here.
    offline = ("-q", "--no-deps", "--no-index", "--no-build-isolation")
    call(python, "-m", "pip", "install", *offline, *arguments, cwd=cwd, **environment)


def build(repository: Path, kind: str, target: Path) -> Path:
    """Run one hook of the build backend, as pip and build do."""
    target.mkdir()
    hook = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    call(sys.executable, "-c", hook, cwd=repository)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout (building writes into it) with one more chip and one more scenario."""
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    copy.mkdir()
    for entry in ROOT.iterdir():
        if entry.is_file() and not entry.name.startswith("."):
            shutil.copy2(entry, copy)
        elif entry.name in FOLDERS:
            shutil.copytree(entry, copy / entry.name, ignore=NOT_SOURCE)
    (copy / "chips" / "zz-test.toml").write_text("# a chip\n")
    (copy / "scenarios" / "zz-test.toml").write_text("# a scenario\n")
    return copy


@pytest.fixture(scope="session")
def sdist(repository: Path) -> Path:
    return build(repository, "sdist", repository.parent / "sdist")


@pytest.fixture(scope="session")
def wheel(repository: Path) -> Path:
    return build(repository, "wheel", repository.parent / "wheel")


def source_files(repository: Path, *folders: str) -> Iterator[str]:
    for folder in folders:
        for path in (repository / folder).rglob("*"):
            if path.is_file():
                yield path.relative_to(repository).as_posix()


def test_wheel_holds_the_whole_package_and_nothing_else(repository: Path, wheel: Path) -> None:
    """A folder missing here is missing in setup.cfg, under packages or under options.package_data."""
    expected = set(source_files(repository, "neurosim"))
    shipped = source_files(repository, "chips", "scenarios")
    expected |= {f"neurosim/{name}" for name in shipped if name.endswith(".toml")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert "neurosim = neurosim.cli:main" in archive.read(entry_points).decode()
    assert names == expected


def test_sdist_holds_the_whole_checkout(repository: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    own_files = {path.name for path in repository.iterdir() if path.is_file()}
    assert (own_files | set(source_files(repository, *FOLDERS))) - names == set()


@pytest.fixture
def installed(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    """An interpreter, the folder that neurosim is then read from, and the PYTHONPATH for it."""
    target = tmp_path / "target"
    match request.param:
        case "checkout":
            return Path(sys.executable), repository, str(repository)
        case "wheel" | "sdist":
            pip_install(sys.executable, "--target", target, request.getfixturevalue(request.param), cwd=tmp_path)
            return Path(sys.executable), target, str(target)
        case _:
            venv.create(target, with_pip=False, symlinks=os.name != "nt")
            python = target / ("Scripts" if os.name == "nt" else "bin") / "python"
            python_path = str(dependencies(tmp_path / "dependencies"))
            pip_install(python, "--editable", repository, cwd=tmp_path, PYTHONPATH=python_path)
            return python, repository, python_path


def dependencies(folder: Path) -> Path:
    """Everything installed beside NumPy, except neurosim: what a bare virtual environment lacks to import it."""
    folder.mkdir()
    for entry in Path(numpy.__file__).parent.parent.iterdir():
        if "neurosim" not in entry.name:
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.mark.parametrize("installed", ["checkout", "wheel", "sdist", "editable"], indirect=True)
def test_shipped_files_are_found(installed: tuple[Path, Path, str], repository: Path, tmp_path: Path) -> None:
    python, home, python_path = installed
    elsewhere = tmp_path / "elsewhere"  # without ./chips
    elsewhere.mkdir()
    answer = json.loads(call(python, "-c", LIST_SHIPPED, cwd=elsewhere, PYTHONPATH=python_path))
    assert Path(answer["module"]) == home / "neurosim" / "files.py"
    for kind, folder in (("chip", "chips"), ("scenario", "scenarios")):
        assert list(answer["shipped"][kind]) == sorted(path.stem for path in (repository / folder).glob("*.toml"))
        assert all(Path(path).is_relative_to(home) for path in answer["shipped"][kind].values())
    assert answer["found"] == answer["shipped"]["chip"]["zz-test"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the chip ``mine`` in ./chips and a file beside it."""
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / "mine.toml").write_text("# in ./chips\n")
    (tmp_path / "secret.toml").write_text("# not a chip that was asked for\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_search_path_goes_before_the_current_folder(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.find("chip", "mine") == workplace / "chips" / "mine.toml"
    first, second = workplace / "first", workplace / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "mine.toml").write_text("# on the search path\n")
    (second / "other.toml").write_text("# on the search path\n")
    monkeypatch.setenv("NEUROSIM_CHIP_PATH", os.pathsep.join([str(workplace / "absent"), str(first), str(second)]))
    assert files.find("chip", "mine") == first / "mine.toml"
    assert files.find("chip", "other") == second / "other.toml"
    assert "mine" not in files.available("scenario")
    assert "mine" not in files.shipped("chip")


def test_path_is_taken_as_it_stands(workplace: Path) -> None:
    (workplace / "no-suffix").write_text("# a chip\n")
    for name in ("secret.toml", "./secret.toml", "chips/../secret.toml", str(workplace / "secret.toml"), "no-suffix"):
        assert files.find("chip", name) == Path(name)


@pytest.mark.parametrize(
    "name",
    ["../secret", "chips/mine", "/absent.toml", "~nobody-here/x.toml", "x" * 5000, "", ".", "..", "a\0b", "*", "MINE?"],
)
def test_bare_name_cannot_leave_its_folder(workplace: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(workplace / "chips")
    with pytest.raises(InputError, match="no chip"):
        files.find("chip", name)


def test_unknown_name_suggests_the_nearest(workplace: Path) -> None:
    with pytest.raises(InputError, match=r'no chip "mien"; did you mean "mine"\? known: .*mine') as raised:
        files.find("chip", "mien")
    assert str(workplace / "chips") in str(raised.value)
    with pytest.raises(InputError, match=r'no chip file "mien.toml"; did you mean "mine"\?'):
        files.find("chip", "mien.toml")
    with pytest.raises(InputError, match=r'no chip "qqqqqqqq"; known: '):
        files.find("chip", "qqqqqqqq")
