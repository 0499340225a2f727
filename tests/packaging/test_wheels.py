"""The wheels, built and installed into an empty environment as a user of the index gets them."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.packaging.wheelhouse import PLUGINS, ROOT, STRANGERS, installed_in, link, needed_by, run

MAX_INSTALLED_WITH_THE_KERNEL = 20
OTHERS = {*(path.name for path in STRANGERS.iterdir()), "greeter"}

pytestmark = pytest.mark.packaging


def test_wheels_carry_code_types_and_data(wheels: list[Path]) -> None:
    ours = [wheel for wheel in wheels if wheel.name.startswith("peerkit")]
    assert len(ours) == len(PLUGINS) + 2 == len(wheels) - len(OTHERS)
    for wheel in ours:
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
    brought = needed_by("peerkit-kernel", installed_in(environment)) - {"peerkit-kernel"}
    assert len(brought) <= MAX_INSTALLED_WITH_THE_KERNEL, sorted(brought)


def test_kernel_and_each_plugin_need_nothing_that_they_do_not_declare(environment: Path, tmp_path: Path) -> None:
    installed = installed_in(environment)
    kernel = link(needed_by("peerkit-kernel", installed), installed, tmp_path / "kernel")
    words = [str(kernel)]
    for name in PLUGINS:
        needed = needed_by(f"peerkit-{name.replace('_', '-')}", installed)
        words.append(f"{name}={link(needed, installed, tmp_path / name)}")
    run([environment / "bin/python", "-I", "-S", Path(__file__).with_name("import_everything.py"), *words])


def test_command_explains_itself(environment: Path, tmp_path: Path) -> None:
    assert "Usage: peerkit" in run([environment / "bin/peerkit", "--help"], cwd=tmp_path)


def test_command_lists_the_standard_plugins_and_those_of_others(environment: Path, tmp_path: Path) -> None:
    answer = run([environment / "bin/peerkit", "plugins", "--json", "--data-dir", tmp_path / "data"], cwd=tmp_path)
    plugins = {plugin["name"]: plugin for plugin in json.loads(answer)}
    assert set(plugins) == {*PLUGINS, *OTHERS}
    for name, plugin in plugins.items():
        prefix = "peerkit-" if name in PLUGINS else ""
        assert plugin["distribution"] == prefix + name.replace("_", "-")
