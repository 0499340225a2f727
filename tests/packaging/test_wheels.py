"""The wheels, built and installed into an empty environment as a user of the index gets them."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
PROJECTS = [".", "./kernel", *(f"./plugins/{name}" for name in PLUGINS)]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
MAX_INSTALLED_WITH_THE_KERNEL = 20
# What pip says where no package index can be reached.
NO_INDEX = re.compile(r"Connection refused|ConnectTimeoutError|NewConnectionError|NameResolutionError|name resolution")

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]


def run(command: Sequence[str | Path], cwd: Path = ROOT) -> str:
    """Run a command that must succeed; returns what it printed."""
    # An environment of its own knows nothing of this one's modules.
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode and NO_INDEX.search(done.stderr):
        pytest.skip("needs a package index")
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


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    def build(folder: Path) -> None:
        run([*PIP, "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(folder), *PROJECTS])

    return sorted(made_once(tmp_path_factory, "wheels", build).glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which somebody said `pip install peerkit`."""

    def install(folder: Path) -> None:
        run([sys.executable, "-m", "venv", "--without-pip", folder])
        pinned = ["-c", str(ROOT / "constraints.txt"), "--only-binary", ":all:", "--find-links", str(wheels[0].parent)]
        run([*PIP, "--python", str(folder / "bin/python"), "install", "-q", "--no-compile", *pinned, "peerkit"])

    return made_once(tmp_path_factory, "environment", install)


def test_wheels_carry_code_types_and_data(wheels: list[Path]) -> None:
    assert len(wheels) == len(PROJECTS)
    for wheel in wheels:
        inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        package = wheel.name.split("-")[0].replace("peerkit_kernel", "peerkit")
        if wheel.name.startswith("peerkit-"):
            assert inside == set()  # the root brings others and has no code
            continue
        project = "kernel" if package == "peerkit" else f"plugins/{package.removeprefix('peerkit_')}"
        source = ROOT / project / "src" / package
        wanted = {
            path.relative_to(source.parent).as_posix()
            for path in source.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert f"{package}/py.typed" in inside
        assert inside == wanted


def test_kernel_brings_few_distributions(environment: Path) -> None:
    site_packages = next(environment.glob("lib/python3*/site-packages"))
    installed: dict[str, Distribution] = {
        canonicalize_name(found.name): found for found in distributions(path=[str(site_packages)])
    }
    needed: set[str] = set()
    todo = ["peerkit-kernel"]
    while todo:
        for line in installed[todo.pop()].requires or []:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            if name not in needed and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                needed.add(name)
                todo.append(name)
    assert len(needed) <= MAX_INSTALLED_WITH_THE_KERNEL, sorted(needed)


def test_command_explains_itself(environment: Path, tmp_path: Path) -> None:
    assert "Usage: peerkit" in run([environment / "bin/peerkit", "--help"], cwd=tmp_path)


def test_command_lists_the_standard_plugins(environment: Path, tmp_path: Path) -> None:
    answer = run([environment / "bin/peerkit", "plugins", "--json", "--data-dir", tmp_path / "data"], cwd=tmp_path)
    plugins = {plugin["name"]: plugin for plugin in json.loads(answer)}
    assert sorted(plugins) == PLUGINS
    for name, plugin in plugins.items():
        assert plugin["distribution"] == f"peerkit-{name.replace('_', '-')}"
