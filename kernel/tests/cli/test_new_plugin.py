"""A plugin that `peerkit new-plugin` began: it installs, is listed, and passes its own tests as it is."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from peerkit._cli.main import PLUGIN_KINDS
from peerkit._cli.new_plugin import KINDS, write_plugin
from peerkit.errors import UsageError

pytestmark = pytest.mark.integration


def run(words: Sequence[str | Path], cwd: Path, site: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": str(site), "PEERKIT_DATA_DIR": str(cwd / "data")}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind below the folder, installed beside them in `site`."""
    folder = tmp_path_factory.mktemp("plugins")
    made = [write_plugin(f"my-{kind.replace('_', '-')}", kind, folder) for kind in KINDS]
    pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    run([*pip, "--target", folder / "site", *made], folder, folder)
    return folder


def test_every_kind_passes_its_own_tests(installed: Path) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "."]
    told = run(words, installed, installed / "site")
    assert "passed" in told and "skipped" not in told


def test_each_is_listed_and_enabled_by_a_profile(installed: Path) -> None:
    names = [f"my_{kind}" for kind in KINDS]
    told = run(
        ["-m", "peerkit", "plugins", "--json", "--set", f"node.enable={json.dumps(names)}"],
        installed,
        installed / "site",
    )
    found = {plugin["name"]: plugin for plugin in json.loads(told)}
    for name in names:
        assert found[name]["enabled"] and found[name]["distribution"] == name.replace("_", "-")
        assert not found[name]["error"]


def test_the_command_knows_every_kind() -> None:
    assert tuple(KINDS) == PLUGIN_KINDS


@pytest.mark.parametrize(
    "name", ["", "My", "1a", "a--b", "-a", "../a", "a/b", "a" * 41, "class", "peerkit-class", "peerkit"]
)
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name for a plugin"):
        write_plugin(name, "protocol", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        write_plugin("chat", "protocol", tmp_path)
    assert not list((tmp_path / "chat").iterdir())
