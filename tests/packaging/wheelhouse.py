"""Builds wheels and installs them into environments that hold nothing else than what they declare.

Libraries are linked from the environment that runs the tests: to load and unpack them again takes half a minute.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
PROJECTS = [ROOT, ROOT / "kernel", *(ROOT / "plugins" / name for name in PLUGINS)]
STRANGERS = Path(__file__).with_name("distributions")
"""Plugins of somebody else, written by hand."""

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# One process for all: `pip wheel` starts three for each.
BUILD = "import os, sys\nfrom hatchling.build import build_wheel\nfor project in sys.argv[2:]:\n    os.chdir(project)\n"
BUILD += "    build_wheel(sys.argv[1])\n"


def own_environ() -> dict[str, str]:
    """An environment of its own knows nothing of this one's modules."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> str:
    """Run a command that must succeed; returns what it printed."""
    done = subprocess.run(command, cwd=cwd, env=own_environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, once for all worker processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / ".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / ".made").touch()
    return folder


def build(projects: Iterable[Path], folder: Path) -> None:
    run([sys.executable, "-c", BUILD, folder, *projects])


def install(wheels: Sequence[Path], folder: Path) -> None:
    """A new environment with these, and the libraries that they declare."""
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    run([*PIP, "--python", folder / "bin/python", "install", "-q", "--no-compile", "--no-index", "--no-deps", *wheels])
    ours = installed_in(folder)
    known = {canonicalize_name(found.name): found for found in distributions()} | ours
    libraries = set().union(*(needed_by(name, known) for name in ours)) - set(ours)
    link(libraries, known, site_packages(folder))


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


def installed_in(environment: Path) -> dict[str, Distribution]:
    return {canonicalize_name(found.name): found for found in distributions(path=[str(site_packages(environment))])}


def needed_by(name: str, installed: Mapping[str, Distribution]) -> set[str]:
    """The distribution and all that it brings, each of a version that fits."""
    needed, todo = {name}, [name]
    while todo:
        asks = todo.pop()
        for line in installed[asks].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                other = canonicalize_name(requirement.name)
                assert requirement.specifier.contains(installed[other].version), f"{asks} needs {line}"
                todo += [other] if other not in needed else []
                needed.add(other)
    return needed


def link(names: Iterable[str], installed: Mapping[str, Distribution], folder: Path) -> Path:
    """Put the modules of these distributions into a folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        for top in {path.parts[0] for path in installed[name].files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(installed[name].locate_file(top)))
    return folder
