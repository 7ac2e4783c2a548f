"""The wheel: built, installed beside nothing of the checkout, and run from another folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

import repronet
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The bin folder of a venv that has the wheel, and this environment's libraries behind it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = _copy_of_the_source(folder / "source")  # a build in the checkout would leave build/ and egg-info behind
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    install = [*pip[:-1], "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # A .pth line puts the libraries behind the wheel; .pth files found there, the editable install, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def _copy_of_the_source(target: Path) -> Path:
    for name in ("src", "configs"):
        shutil.copytree(REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, target)
    return target


def test_the_version_is_the_same_everywhere():
    """Python's, the package's, the citation's and the changelog's newest."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(.+)\] - (\S+)$", changes, re.MULTILINE)
    assert released is not None
    assert {project["version"], citation["version"], released[1]} == {repronet.__version__}
    assert citation["date-released"] == released[2]


def test_every_folder_is_listed_as_a_package():
    """One that is left out is installed as data all the same, with forty lines of warning by pip 26."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    code = {file.parent.relative_to(REPOSITORY / "src") for file in (REPOSITORY / "src/repronet").rglob("*.py")}
    configs = {Path("repronet", file.parent.relative_to(REPOSITORY)) for file in REPOSITORY.glob("configs/**/*.yaml")}
    assert set(project["tool"]["setuptools"]["packages"]) == {".".join(folder.parts) for folder in code | configs}


@pytest.mark.slow
def test_the_wheel_works_from_another_folder(installed, tmp_path):
    def run(*words: str) -> str:
        command = [str(installed / words[0]), *words[1:]]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    where = run("python", "-c", "import repronet, repronet.configs as c; print(repronet.__file__, c.__file__)")
    assert str(REPOSITORY) not in where
    assert where.count(str(installed.parent)) == 2
    assert "lenet5_1998" in run("repronet", "list", "models")
    out = run("repronet", "train", "trainer.max_epochs=1")
    assert "test error" in out
    (folder,) = (tmp_path / "runs" / "lenet5-mnist5k").iterdir()
    assert "test_error" in run("repronet", "eval", f"run={folder}")
